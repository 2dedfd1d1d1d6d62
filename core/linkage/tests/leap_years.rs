//! The calendar against the official table of leap years, where it is at hand: `KARWAN_SHARED`, or `../shared` beside the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use karwan_linkage::solar::{is_leap, to_days};

fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("KARWAN_SHARED").map_or(beside, PathBuf::from)
}

/// Days since 1970-01-01 of a Gregorian date, counted year by year and month by month.
fn gregorian_days(year: i64, month: usize, day: i64) -> i64 {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = |year: i64| if leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 { (1970..year).map(length).sum() } else { -(year..1970).map(length).sum::<i64>() };
    let months = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + months[..month - 1].iter().sum::<i64>() + day - 1
}

#[test]
fn every_year_of_the_official_table_begins_and_leaps_as_it_says() {
    let file = shared().join("codes/kabise.txt");
    let Ok(table) = std::fs::read_to_string(&file) else {
        println!("skipped: no table of leap years at {}", file.display());
        return;
    };
    let mut years = 0;
    for line in table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (name, first) = line.split_once(' ').unwrap();
        let year: i32 = name.trim_end_matches('*').parse().unwrap();
        let date: Vec<i64> = first.trim().split('-').map(|part| part.parse().unwrap()).collect();
        assert_eq!(is_leap(year), name.ends_with('*'), "{year}");
        assert_eq!(to_days(year, 1, 1), Some(gregorian_days(date[0], date[1] as usize, date[2])), "{year}");
        years += 1;
    }
    assert_eq!(years, 293);
}
