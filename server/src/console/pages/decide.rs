//! To decide: open items by kind.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::organisation::{forms_seen, titles};
use crate::clock::now_ms;
use crate::console::Fields;
use crate::console::door::Told;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer};
use crate::console::questions::Question;
use crate::console::say::milliseconds;
use crate::console::visit::Visit;
use crate::organisation::forms::FormRow;
use crate::query::{self, ItemListed};

/// Items on the page; the rest comes up as these are decided.
const LINES_MAX: usize = 300;

/// One item as it is listed.
struct ItemLine {
    item: ItemListed,
    kind: String,
    question: String,
    source: String,
    ago: String,
}

#[derive(Template)]
#[template(path = "decide.html")]
struct DecidePage {
    page: Page,
    told: Option<Told>,
    total: usize,
    kinds: Vec<(String, String, usize)>,
    chosen: String,
    lines: Vec<ItemLine>,
}

/// The list.
pub fn page(visit: &Visit<'_>, fields: &Fields) -> Result<Response, Fault> {
    visit.sees_records()?;
    let words = visit.language().words();
    let items = query::items(visit.host(), &visit.scope)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in &items {
        *counts.entry(item.kind.clone()).or_default() += 1;
    }
    let chosen = fields.get("kind").filter(|kind| counts.contains_key(*kind)).cloned().unwrap_or_default();
    let forms = forms_seen(visit)?;
    let (titles, now, total) = (titles(&forms), now_ms(), items.len());
    let of_kind = items.into_iter().filter(|item| chosen.is_empty() || item.kind == chosen);
    let line = |item: ItemListed| ItemLine {
        kind: words.item_kind(&item.kind).to_owned(),
        question: question(visit, &forms, &item).map(|question| question.label()).unwrap_or_default(),
        source: titles.get(&item.source).cloned().unwrap_or_else(|| item.source.clone()),
        ago: milliseconds(&item.since).map(|ms| visit.language().ago(ms, now)).unwrap_or_default(),
        item,
    };
    answer(&DecidePage {
        lines: of_kind.take(LINES_MAX).map(line).collect(),
        page: visit.page("decide", words.to_decide),
        told: visit.told(),
        kinds: counts.into_iter().map(|(kind, count)| (kind.clone(), words.item_kind(&kind).to_owned(), count)).collect(),
        total,
        chosen,
    })
}

/// The question that an item is about, without opening the record.
fn question(visit: &Visit<'_>, forms: &[FormRow], item: &ItemListed) -> Option<Question> {
    if item.record_kind == "entity" {
        return Question::of_property(visit.host(), forms, &item.source, &item.reference, visit.language());
    }
    let path = karwan_record::place::form_path(&item.reference);
    forms.iter().rev().filter(|row| row.form == item.source).find_map(|row| {
        let form = visit.host().organisation.form(row.hash).ok()??;
        Question::at(&form, &path, visit.language())
    })
}
