//! Records: a list that is searched, filtered and paged.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use karwan_client::query::RecordListed;

use super::organisation::{forms_seen, titles};
use crate::console::Fields;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer, encoded};
use crate::console::visit::Visit;
use crate::console::words::fill;
use crate::query::{self, RecordsQuery};

/// Lines of one page.
const LINES: usize = 50;
/// Longest search, in bytes.
const SEARCH_BYTES_MAX: usize = 200;

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    page: Page,
    query: RecordsQuery,
    count: u64,
    lines: Vec<(String, RecordListed)>,
    titles: BTreeMap<String, String>,
    caseloads: Vec<String>,
    statuses: [&'static str; 3],
    previous: Option<String>,
    next: Option<String>,
    page_told: String,
    csv: Option<String>,
}

impl RecordsPage {
    #[expect(clippy::unused_self, reason = "templates ask the page for everything")]
    fn is(&self, chosen: Option<&String>, value: &str) -> bool {
        chosen.is_some_and(|chosen| chosen == value)
    }

    fn source(&self, record: &RecordListed) -> String {
        let source = record.form.as_ref().or(record.list.as_ref()).cloned().unwrap_or_default();
        self.titles.get(&source).cloned().unwrap_or(source)
    }
}

/// The list.
pub fn page(visit: &Visit<'_>, fields: &Fields) -> Result<Response, Fault> {
    visit.sees_records()?;
    let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let number: usize = field("page").and_then(|number| number.parse().ok()).filter(|number| *number > 0).unwrap_or(1);
    let search = field("q").filter(|search| search.len() <= SEARCH_BYTES_MAX).unwrap_or_default();
    let forms = forms_seen(visit)?;
    let mut caseloads: Vec<String> = visit
        .host()
        .organisation
        .caseloads()?
        .into_iter()
        .filter(|row| visit.scope.sees(row.caseload))
        .map(|row| row.name)
        .collect();
    let order = visit.language().collator();
    caseloads.sort_by(|left, right| order.of(left, right));
    let asked = RecordsQuery {
        form: field("form"),
        caseload: field("caseload").filter(|name| caseloads.contains(name)),
        kind: field("kind").filter(|kind| matches!(kind.as_str(), "interview" | "entity")),
        status: field("status").filter(|status| matches!(status.as_str(), "sent" | "returned" | "approved")),
        search,
        limit: LINES,
        offset: (number - 1).saturating_mul(LINES),
    };
    let count = query::count(visit.host(), &visit.scope, &asked)?;
    let lines = query::records(visit.host(), &visit.scope, &asked)?;
    let more = count > (asked.offset + lines.len()) as u64;
    let csv = asked.form.as_ref().filter(|form| visit.exports().is_ok() && forms.iter().any(|row| row.form == **form));
    answer(&RecordsPage {
        page: visit.page("records", visit.language().words().records),
        previous: (number > 1).then(|| address(&asked, number - 1)),
        next: more.then(|| address(&asked, number + 1)),
        page_told: fill(visit.language().words().page_of, "{n}", &visit.language().number(number)),
        csv: csv.map(|form| format!("/csv/{}", encoded(form))),
        lines: lines.into_iter().map(|line| (record_address(&line), line)).collect(),
        titles: titles(&forms),
        caseloads,
        statuses: ["sent", "returned", "approved"],
        count,
        query: asked,
    })
}

/// Where a record's page is.
pub fn record_address(record: &RecordListed) -> String {
    match &record.list {
        Some(list) => format!("/records/{}", encoded(&format!("{list}:{}", record.record))),
        None => format!("/records/{}", record.record),
    }
}

fn address(query: &RecordsQuery, page: usize) -> String {
    let fields = [
        ("form", query.form.as_deref()),
        ("caseload", query.caseload.as_deref()),
        ("kind", query.kind.as_deref()),
        ("status", query.status.as_deref()),
        ("q", Some(query.search.as_str()).filter(|search| !search.is_empty())),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
    format!("/records?{}", given.chain([format!("page={page}")]).collect::<Vec<_>>().join("&"))
}
