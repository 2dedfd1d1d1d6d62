//! Dates and times as XForms writes them, and the arithmetic of days.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// A point in time that an expression made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970, UTC.
    pub milliseconds: i64,
    /// Offset of local time where it is shown, in minutes.
    pub offset_minutes: i32,
}

/// A date and time of day by its parts, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Parts {
    pub year: i32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millisecond: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

impl Moment {
    /// Reads an ISO date or date-time; local time is `offset_minutes` where the text names no offset.
    pub fn parse(text: &str, offset_minutes: i32) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let days = parse_date(date)?;
        let (within_day, named_offset) = match time {
            Some(time) => parse_time(time)?,
            None => (0, None),
        };
        let shift = i64::from(named_offset.unwrap_or(offset_minutes)) * 60_000;
        Some(Self { milliseconds: days * DAY_MS + within_day - shift, offset_minutes })
    }

    /// Days since 1970 of a date in local time, as XForms numbers a date; the time of day is the fraction.
    pub fn days(&self) -> f64 {
        (self.milliseconds + i64::from(self.offset_minutes) * 60_000) as f64 / DAY_MS as f64
    }

    /// The same by its parts.
    pub fn parts(&self) -> Parts {
        let local = self.milliseconds + i64::from(self.offset_minutes) * 60_000;
        let days = local.div_euclid(DAY_MS);
        let within = local.rem_euclid(DAY_MS);
        let (year, month, day) = civil(days);
        Parts {
            year,
            month,
            day,
            hour: (within / 3_600_000) as u32,
            minute: (within / 60_000 % 60) as u32,
            second: (within / 1_000 % 60) as u32,
            millisecond: (within % 1_000) as u32,
            weekday: (days + 4).rem_euclid(7) as u32,
        }
    }

    /// `2026-11-23`.
    pub fn date_text(&self) -> String {
        let parts = self.parts();
        format!("{:04}-{:02}-{:02}", parts.year, parts.month, parts.day)
    }

    /// `2026-11-23T10:00:00.000+03:30`.
    pub fn full_text(&self) -> String {
        let parts = self.parts();
        format!(
            "{}T{:02}:{:02}:{:02}.{:03}{}",
            self.date_text(),
            parts.hour,
            parts.minute,
            parts.second,
            parts.millisecond,
            offset_text(self.offset_minutes)
        )
    }

    /// The date alone at midnight, else date and time.
    pub fn text(&self) -> String {
        let midnight = (self.milliseconds + i64::from(self.offset_minutes) * 60_000).rem_euclid(DAY_MS) == 0;
        if midnight { self.date_text() } else { self.full_text() }
    }
}

/// `+03:30`.
pub fn offset_text(offset_minutes: i32) -> String {
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let minutes = offset_minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Days since 1970 of `2026-11-23`; `None` for what is no day of the calendar.
pub fn parse_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let year = i32::try_from(digits(text.get(0..4)?)?).ok()?;
    let month = digits(text.get(5..7)?)?;
    let day = digits(text.get(8..10)?)?;
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// Milliseconds within a day and the offset, where it has one, of `10:00`, `10:00:00.000+03:30`, `10:00:00Z`.
pub fn parse_time(text: &str) -> Option<(i64, Option<i32>)> {
    let (clock, offset) = split_offset(text)?;
    let mut fields = clock.splitn(3, ':');
    let hour = two_digits(fields.next()?)?;
    let minute = fields.next().map_or(Some(0), two_digits)?;
    let (second, fraction) = match fields.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            if fraction.is_empty() || fraction.len() > 9 {
                return None;
            }
            digits(fraction)?;
            let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
            (two_digits(whole)?, digits(&thousandths)?)
        }
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let milliseconds = i64::from(hour) * 3_600_000 + i64::from(minute) * 60_000 + i64::from(second) * 1_000 + i64::from(fraction);
    Some((milliseconds, offset))
}

fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(clock) = text.strip_suffix('Z').or_else(|| text.strip_suffix('z')) {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, None)) };
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let total = i32::try_from(hours * 60 + minutes).ok()?;
    Some((clock, Some(if offset.starts_with('-') { -total } else { total })))
}

fn two_digits(text: &str) -> Option<u32> {
    if text.len() == 2 { digits(text) } else { None }
}

fn digits(text: &str) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days in a month of the Gregorian calendar.
pub fn month_days(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 (Howard Hinnant's algorithm).
pub fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil(days: i64) -> (i32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (i32::try_from(year).unwrap_or(i32::MAX), month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp)]
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2000-03-01"), Some(11_017));
        assert_eq!(parse_date("2024-02-29"), Some(19_782));
        assert_eq!(parse_date("2023-02-29"), None);
        assert_eq!(parse_date("2026-13-01"), None);
        assert_eq!(parse_date("26-1-1"), None);
    }

    #[test]
    fn a_moment_is_shown_in_its_offset() {
        let moment = Moment::parse("2026-11-23T10:00:00.000Z", 210).unwrap();
        assert_eq!(moment.full_text(), "2026-11-23T13:30:00.000+03:30");
        assert_eq!(Moment::parse("2026-11-23", 210).unwrap().text(), "2026-11-23");
        assert_eq!(Moment::parse("2026-11-23", 210).unwrap().days(), 20_780.0);
    }

    #[test]
    fn times_have_offsets() {
        assert_eq!(parse_time("08:30:00.000"), Some((30_600_000, None)));
        assert_eq!(parse_time("08:30Z"), Some((30_600_000, Some(0))));
        assert_eq!(parse_time("08:30:15.5-03:30"), Some((30_615_500, Some(-210))));
        assert_eq!(parse_time("25:00"), None);
    }

    #[test]
    fn weekdays_and_parts() {
        let parts = Moment::parse("2026-11-23T10:05:07.089", 0).unwrap().parts();
        assert_eq!((parts.weekday, parts.hour, parts.minute, parts.second, parts.millisecond), (1, 10, 5, 7, 89));
        assert_eq!(Moment { milliseconds: -1, offset_minutes: 0 }.full_text(), "1969-12-31T23:59:59.999+00:00");
    }
}
