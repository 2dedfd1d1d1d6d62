//! Today: what arrived, what needs a person, who has not come home.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::devices::{self, DeviceLine, HOME_DAYS};
use crate::clock::now_ms;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer};
use crate::console::say::{DAY_MS, local_ms, milliseconds, offset_minutes};
use crate::console::visit::Visit;
use crate::console::words::fill;
use crate::query::{self, RecordsQuery};

/// Days that are told, today among them.
const DAYS: i64 = 7;
/// Newest records that are counted.
const COUNTED_MAX: usize = 5_000;
/// Lines of a table on this page.
const LINES_MAX: usize = 12;

/// Counts of some days, the oldest first, and their sum.
pub struct Arrivals {
    pub name: String,
    pub days: Vec<u64>,
    pub total: u64,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    page: Page,
    today: u64,
    week: u64,
    open: usize,
    /// Kind, what it is called, how many.
    kinds: Vec<(String, String, usize)>,
    day_names: Vec<String>,
    by_form: Vec<Arrivals>,
    by_person: Vec<Arrivals>,
    /// Said where not everything was counted.
    only_newest: String,
    away: Vec<DeviceLine>,
    away_lead: String,
    all_home: String,
}

/// What a supervisor wants to know first.
pub fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    if visit.sees_records().is_err() {
        return Ok(crate::console::page::go_to("/devices"));
    }
    let (language, words) = (visit.language(), visit.language().words());
    let page = visit.page("today", words.today);
    let asked = RecordsQuery { kind: Some("interview".to_owned()), limit: COUNTED_MAX, ..RecordsQuery::default() };
    let records = query::records(visit.host(), &visit.scope, &asked)?;
    // Days are those of the people who were there: the newest record's clock says which day is today.
    let offset = records.first().map_or(0, |record| offset_minutes(&record.offset));
    let today = local_ms(now_ms(), offset).div_euclid(DAY_MS);
    let mut forms = BTreeMap::new();
    let mut people = BTreeMap::new();
    for record in &records {
        let Some(ms) = milliseconds(&record.updated) else { continue };
        let day = local_ms(ms, offset_minutes(&record.offset)).div_euclid(DAY_MS);
        // A clock that is ahead writes tomorrow: that is today's work.
        let back = (today - day).max(0);
        if back >= DAYS {
            continue;
        }
        count(&mut forms, record.form.as_deref().unwrap_or_default(), back);
        count(&mut people, record.made_by.as_deref().unwrap_or_default(), back);
    }
    let by_form = arrivals(forms);
    let items = query::items(visit.host(), &visit.scope)?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for item in &items {
        *kinds.entry(item.kind.clone()).or_default() += 1;
    }
    let days = language.number(HOME_DAYS);
    let counted_all = records.len() < COUNTED_MAX;
    answer(&TodayPage {
        today: by_form.iter().filter_map(|line| line.days.last()).sum(),
        week: by_form.iter().map(|line| line.total).sum(),
        open: items.len(),
        kinds: kinds.into_iter().map(|(kind, count)| (kind.clone(), words.item_kind(&kind).to_owned(), count)).collect(),
        day_names: (0..DAYS).rev().map(|back| language.short_day((today - back) * DAY_MS, 0)).collect(),
        by_form,
        by_person: arrivals(people),
        only_newest: if counted_all { String::new() } else { fill(words.only_newest, "{n}", &language.number(COUNTED_MAX)) },
        away: devices::devices(visit)?.into_iter().filter(|line| line.is_away).collect(),
        away_lead: fill(words.not_home_lead, "{n}", &days),
        all_home: fill(words.all_home, "{n}", &days),
        page,
    })
}

fn count(counts: &mut BTreeMap<String, Vec<u64>>, name: &str, back: i64) {
    let days = counts.entry(name.to_owned()).or_insert_with(|| vec![0; DAYS as usize]);
    if let Some(day) = days.get_mut((DAYS - 1 - back) as usize) {
        *day += 1;
    }
}

/// The busiest first.
fn arrivals(counts: BTreeMap<String, Vec<u64>>) -> Vec<Arrivals> {
    let lines = counts.into_iter().map(|(name, days)| Arrivals { name, total: days.iter().sum(), days });
    let mut lines: Vec<Arrivals> = lines.collect();
    lines.sort_by(|left, right| right.total.cmp(&left.total).then_with(|| left.name.cmp(&right.name)));
    lines.truncate(LINES_MAX);
    lines
}
