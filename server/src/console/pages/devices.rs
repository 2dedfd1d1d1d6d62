//! Devices: who has which, and which has not come home. The page that operators have too.

use askama::Template;
use axum::response::Response;

use crate::clock::now_ms;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer};
use crate::console::say::{DAY_MS, Language, Moment, milliseconds};
use crate::console::visit::Visit;
use crate::query::{self, DeviceListed};

/// A device that has not synced for so many days has not come home.
pub const HOME_DAYS: i64 = 3;

/// One device as it is shown.
pub struct DeviceLine {
    pub device: DeviceListed,
    pub role: String,
    /// How long ago; nothing where it never synced.
    pub ago: Option<(String, Moment)>,
    pub is_away: bool,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    page: Page,
    devices: Vec<DeviceLine>,
}

/// All devices that this person may see.
pub fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let page = visit.page("devices", visit.language().words().devices);
    answer(&DevicesPage { devices: devices(visit)?, page })
}

/// Devices by name, those that are away first.
pub fn devices(visit: &Visit<'_>) -> Result<Vec<DeviceLine>, Fault> {
    let now = now_ms();
    let found = query::devices(visit.host(), &visit.scope)?;
    let mut lines: Vec<DeviceLine> = found.into_iter().map(|device| line(device, now, visit.language())).collect();
    let order = visit.language().collator();
    lines.sort_by(|left, right| right.is_away.cmp(&left.is_away).then_with(|| order.of(&left.device.name, &right.device.name)));
    Ok(lines)
}

fn line(device: DeviceListed, now: i64, language: Language) -> DeviceLine {
    let synced = device.last_sync.as_deref().and_then(milliseconds);
    let ago = synced.zip(device.last_sync.as_deref()).map(|(ms, text)| (language.ago(ms, now), language.moment(text, "+00:00")));
    let is_away = !device.revoked && synced.is_none_or(|ms| now - ms > HOME_DAYS * DAY_MS);
    DeviceLine { role: language.words().role_name(&device.role).to_owned(), ago, is_away, device }
}
