//! The device's clock, as an app may replace it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time. A wrong clock changes what is shown as time, never what is kept or who wins.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Offset of local time from UTC, in minutes.
    fn offset_minutes(&self) -> i32;
}

/// The system's clock with an offset that the host knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    /// Offset of local time from UTC, in minutes.
    pub offset_minutes: i32,
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn offset_minutes(&self) -> i32 {
        self.offset_minutes
    }
}

/// A time as RFC 3339 in UTC with milliseconds; empty where it is beyond what a calendar holds.
pub fn rfc3339(ms: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
    text.unwrap_or_default()
}

/// An offset as `+03:30`.
pub fn offset_text(minutes: i32) -> String {
    let (sign, minutes) = if minutes < 0 { ('-', minutes.unsigned_abs()) } else { ('+', minutes.unsigned_abs()) };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_offsets_are_written_as_the_world_writes_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_428_000_500), "2026-11-23T10:00:00.5Z");
        assert_eq!(offset_text(210), "+03:30");
        assert_eq!(offset_text(-300), "-05:00");
    }
}
