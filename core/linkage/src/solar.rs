//! The Solar Hijri calendar (Iran, Afghanistan) by the 33-year rule, and dates in which a day or month is unknown.

/// Days before each month of a Solar Hijri year.
const DAYS_BEFORE: [i64; 12] = [0, 31, 62, 93, 124, 155, 186, 216, 246, 276, 306, 336];
/// 1 Farvardin 1 in days since 1970-01-01: 622-03-22 in the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = -492_268;
/// Solar Hijri years that people now living may name.
pub const YEARS: std::ops::RangeInclusive<i32> = 1200..=1500;

/// A date of which some parts may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SolarDate {
    /// The year.
    pub year: i32,
    /// 1 to 12.
    pub month: Option<u32>,
    /// 1 to 31; never without a month.
    pub day: Option<u32>,
}

/// Whether a Solar Hijri year has 366 days: eight years in thirty-three.
pub fn is_leap(year: i32) -> bool {
    matches!(year.rem_euclid(33), 1 | 5 | 9 | 13 | 17 | 22 | 26 | 30)
}

/// Days of a month.
pub fn month_days(year: i32, month: u32) -> u32 {
    match month {
        1..=6 => 31,
        7..=11 => 30,
        12 if is_leap(year) => 30,
        12 => 29,
        _ => 0,
    }
}

/// Days since 1970-01-01 of the first day of a Solar Hijri year.
fn year_start(year: i32) -> i64 {
    let before = i64::from(year) - 1;
    let cycles = before.div_euclid(33);
    let rest = before.rem_euclid(33);
    let leaps = (1..=rest).filter(|at| is_leap(i32::try_from(*at).unwrap_or(0))).count() as i64;
    EPOCH_DAYS + cycles * (33 * 365 + 8) + rest * 365 + leaps
}

/// Days since 1970-01-01 of a Solar Hijri date.
pub fn to_days(year: i32, month: u32, day: u32) -> Option<i64> {
    let before = DAYS_BEFORE.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    (day >= 1 && day <= month_days(year, month)).then(|| year_start(year) + before + i64::from(day) - 1)
}

/// The Solar Hijri date of a day since 1970-01-01.
pub fn of_days(days: i64) -> (i32, u32, u32) {
    let mut year = i32::try_from((days - EPOCH_DAYS).div_euclid(366)).unwrap_or(0).max(1);
    while year_start(year + 1) <= days {
        year += 1;
    }
    let within = days - year_start(year);
    let month = DAYS_BEFORE.iter().rposition(|before| *before <= within).unwrap_or(0);
    let day = within - DAYS_BEFORE.get(month).copied().unwrap_or(0) + 1;
    (year, month as u32 + 1, day as u32)
}

/// Reads `1370/05/12`, `۱۳۷۰-۵`, `1370`: unknown parts stay unknown. `None` for anything else, Gregorian years included.
pub fn parse(text: &str) -> Option<SolarDate> {
    let parts = parts(text)?;
    let year = i32::try_from(*parts.first()?).ok().filter(|year| YEARS.contains(year))?;
    let month = parts.get(1).copied().filter(|month| *month != 0);
    let day = parts.get(2).copied().filter(|day| *day != 0 && month.is_some());
    let valid = month.is_none_or(|month| (1..=12).contains(&month) && day.is_none_or(|day| day <= month_days(year, month)));
    valid.then_some(SolarDate { year, month, day })
}

/// The Gregorian year of a date or year in either calendar; a Solar Hijri one without month names the year in which it begins.
pub fn year_of(text: &str) -> Option<i32> {
    let parts = parts(text)?;
    let year = i32::try_from(*parts.first()?).ok()?;
    if YEARS.contains(&year) {
        return Some(year + 621);
    }
    (1850..=2150).contains(&year).then_some(year)
}

fn parts(text: &str) -> Option<Vec<u32>> {
    let folded: String = text
        .trim()
        .chars()
        .map(|character| match character {
            '۰'..='۹' => char::from_digit(character as u32 - '۰' as u32, 10).unwrap_or(character),
            '٠'..='٩' => char::from_digit(character as u32 - '٠' as u32, 10).unwrap_or(character),
            '/' | '.' | '٫' => '-',
            other => other,
        })
        .collect();
    let parts: Vec<u32> = folded.split('-').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    (!parts.is_empty() && parts.len() <= 3).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1403-01-01 is 2024-03-20, 1404-01-01 is 2025-03-21, 1348-10-11 is 1970-01-01.
    #[test]
    fn known_days_meet() {
        assert_eq!(to_days(1348, 10, 11), Some(0));
        assert_eq!(to_days(1403, 1, 1), Some(19_802));
        assert_eq!(to_days(1404, 1, 1), Some(20_168));
        assert_eq!(of_days(0), (1348, 10, 11));
        assert_eq!(of_days(20_168), (1404, 1, 1));
        assert!(is_leap(1403));
        assert!(!is_leap(1404));
        assert_eq!(to_days(1404, 12, 30), None);
    }

    #[test]
    fn every_day_comes_back() {
        for days in -20_000..40_000 {
            let (year, month, day) = of_days(days);
            assert_eq!(to_days(year, month, day), Some(days));
        }
    }

    #[test]
    fn what_is_unknown_stays_unknown() {
        assert_eq!(parse("۱۳۷۰/۵/۱۲"), Some(SolarDate { year: 1370, month: Some(5), day: Some(12) }));
        assert_eq!(parse("1370"), Some(SolarDate { year: 1370, month: None, day: None }));
        assert_eq!(parse("1370/00/00"), Some(SolarDate { year: 1370, month: None, day: None }));
        assert_eq!(parse("1370/13/01"), None);
        assert_eq!(parse("1991-05-12"), None);
        assert_eq!(year_of("۱۳۷۰"), Some(1991));
        assert_eq!(year_of("1991-05-12"), Some(1991));
    }
}
