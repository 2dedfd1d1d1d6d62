//! Today: what arrived, what needs a person, who has not come home.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::devices::{self, DeviceLine, HOME_DAYS};
use super::organisation::{forms_seen, titles};
use crate::clock::now_ms;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer};
use crate::console::say::{DAY_MS, local_ms};
use crate::console::visit::Visit;
use crate::console::words::fill;
use crate::query;

/// Days that are told, today among them.
const DAYS: i64 = 7;
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
    by_device: Vec<Arrivals>,
    titles: BTreeMap<String, String>,
    away: Vec<DeviceLine>,
    away_lead: String,
    all_home: String,
}

impl TodayPage {
    fn title(&self, form: &String) -> String {
        self.titles.get(form).unwrap_or(form).clone()
    }
}

/// What a supervisor wants to know first.
pub fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    if visit.sees_records().is_err() {
        return Ok(crate::console::page::go_to("/devices"));
    }
    let (language, words) = (visit.language(), visit.language().words());
    let page = visit.page("today", words.today);
    let now = now_ms();
    // Days are those of the people who were there: the newest record's clock says which day is today.
    let (arrived, offset) = query::arrivals(visit.host(), &visit.scope, now - (DAYS + 1) * DAY_MS)?;
    let today = local_ms(now, offset).div_euclid(DAY_MS);
    let (mut forms, mut by_device) = (BTreeMap::new(), BTreeMap::new());
    for arrival in arrived {
        // The server and the newest record may tell the end of a day apart: that is today.
        let back = (today - arrival.day).max(0);
        if back < DAYS {
            count(&mut forms, &arrival.form, back, arrival.count);
            count(&mut by_device, &arrival.device, back, arrival.count);
        }
    }
    let by_form = arrivals(forms);
    let items = query::items(visit.host(), &visit.scope)?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for item in &items {
        *kinds.entry(item.kind.clone()).or_default() += 1;
    }
    let days = language.number(HOME_DAYS);
    answer(&TodayPage {
        today: by_form.iter().filter_map(|line| line.days.last()).sum(),
        week: by_form.iter().map(|line| line.total).sum(),
        open: items.len(),
        kinds: kinds.into_iter().map(|(kind, count)| (kind.clone(), words.item_kind(&kind).to_owned(), count)).collect(),
        day_names: (0..DAYS).rev().map(|back| language.short_day((today - back) * DAY_MS, 0)).collect(),
        by_form,
        titles: titles(&forms_seen(visit)?),
        by_device: arrivals(by_device),
        away: devices::devices(visit)?.into_iter().filter(|line| line.is_away).collect(),
        away_lead: fill(words.not_home_lead, "{n}", &days),
        all_home: fill(words.all_home, "{n}", &days),
        page,
    })
}

fn count(counts: &mut BTreeMap<String, Vec<u64>>, name: &str, back: i64, count: u64) {
    let days = counts.entry(name.to_owned()).or_insert_with(|| vec![0; DAYS as usize]);
    if let Some(day) = days.get_mut((DAYS - 1 - back) as usize) {
        *day += count;
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
