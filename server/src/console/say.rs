//! How the console says numbers, times and values in the reader's language: digits, calendar, direction, order of names.

use std::cmp::Ordering;
use std::fmt::Display;

use askama::Template;
use icu_collator::options::CollatorOptions;
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};
use icu_locale_core::locale;
use karwan_linkage::solar;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::words::{ENGLISH, PERSIAN, Words, fill};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A language of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Persian,
}

impl Language {
    /// By its code.
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "fa" => Some(Self::Persian),
            _ => None,
        }
    }

    /// The first one that a browser's `Accept-Language` asks for; English where it asks for neither.
    pub fn accepted(header: &str) -> Self {
        let mut codes = header.split(',').filter_map(|part| part.split([';', '-']).next());
        codes.find_map(|code| Self::of_code(code.trim())).unwrap_or(Self::English)
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Persian => "fa",
        }
    }

    /// Which way it is written.
    pub fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Persian => "rtl",
        }
    }

    /// The one that the switch leads to.
    pub fn other(self) -> Self {
        match self {
            Self::English => Self::Persian,
            Self::Persian => Self::English,
        }
    }

    /// Its texts.
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Persian => &PERSIAN,
        }
    }

    /// A number of the interface's own: answers keep the digits that they were given in.
    pub fn number(self, number: impl Display) -> String {
        let text = number.to_string();
        match self {
            Self::English => text,
            Self::Persian => text.chars().map(persian_digit).collect(),
        }
    }

    /// A day in the reader's calendar.
    pub fn day(self, ms: i64, offset_minutes: i32) -> String {
        let days = local_ms(ms, offset_minutes).div_euclid(DAY_MS);
        match self {
            Self::English => gregorian(days, |date| {
                format!("{} {} {}", date.day(), self.month(u32::from(u8::from(date.month()))), date.year())
            }),
            Self::Persian => {
                let (year, month, day) = solar::of_days(days);
                format!("{} {} {}", self.number(day), self.month(month), self.number(year))
            }
        }
    }

    /// A day without its year, for the heads of narrow columns.
    pub fn short_day(self, ms: i64, offset_minutes: i32) -> String {
        let text = self.day(ms, offset_minutes);
        text.rsplit_once(' ').map_or_else(|| text.clone(), |(short, _)| short.to_owned())
    }

    fn month(self, month: u32) -> &'static str {
        self.words().months.get((month as usize).wrapping_sub(1)).copied().unwrap_or("")
    }

    /// A moment as the clock of whoever was there showed it.
    pub fn moment(self, time: &str, offset: &str) -> Moment {
        let Some(ms) = milliseconds(time) else {
            return Moment { text: time.to_owned(), gregorian: String::new(), iso: time.to_owned() };
        };
        let minutes = offset_minutes(offset);
        let of_day = local_ms(ms, minutes).rem_euclid(DAY_MS) / 60_000;
        let clock = format!("{:02}:{:02}", of_day / 60, of_day % 60);
        let text = format!("{}{}{}", self.day(ms, minutes), self.words().comma, self.number(&clock));
        let days = local_ms(ms, minutes).div_euclid(DAY_MS);
        let zone = if minutes == 0 { "UTC".to_owned() } else { format!("UTC{offset}") };
        let plain =
            gregorian(days, |date| format!("{}-{:02}-{:02} {clock} {zone}", date.year(), u8::from(date.month()), date.day()));
        Moment { text, gregorian: plain, iso: time.to_owned() }
    }

    /// How long ago a moment was.
    pub fn ago(self, ms: i64, now_ms: i64) -> String {
        let words = self.words();
        let minutes = (now_ms - ms).max(0) / 60_000;
        let say = |sentence, count: i64| fill(sentence, "{n}", &self.number(count));
        match minutes {
            0 => words.now.to_owned(),
            1..60 => say(words.minutes_ago, minutes),
            60..2880 => say(words.hours_ago, minutes / 60),
            _ => say(words.days_ago, minutes / 1440),
        }
    }

    /// The order of names in this language.
    pub fn collator(self) -> Order {
        let preferences: CollatorPreferences = match self {
            Self::English => locale!("en").into(),
            Self::Persian => locale!("fa").into(),
        };
        Order(Collator::try_new(preferences, CollatorOptions::default()).ok())
    }
}

/// The order of names in a language.
pub struct Order(Option<CollatorBorrowed<'static>>);

impl Order {
    /// Which of two names comes first.
    pub fn of(&self, left: &str, right: &str) -> Ordering {
        self.0.as_ref().map_or_else(|| left.cmp(right), |collator| collator.compare(left, right))
    }
}

/// A moment as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// In the reader's calendar.
    pub text: String,
    /// In the Gregorian calendar with its zone.
    pub gregorian: String,
    /// As it is stored, for machines.
    pub iso: String,
}

/// A value between words of the other direction: isolated, and from left to right where it is a number, phone or identifier, or where
/// one stands in it.
#[derive(Template)]
#[template(
    source = "<bdi{% if ltr %} dir=\"ltr\" class=\"number\"{% endif %}>{% for (inner, text) in parts %}{% if *inner %}<bdi dir=\"ltr\">{{ text }}</bdi>{% else %}{{ text }}{% endif %}{% endfor %}</bdi>",
    ext = "html"
)]
pub struct Isolated {
    ltr: bool,
    /// Pieces, and whether each is isolated by itself.
    parts: Vec<(bool, String)>,
}

impl Isolated {
    /// Isolates a value.
    pub fn new(text: &str) -> Self {
        // A phone that begins with `+`, a date or a UUID has no letter that says where it begins.
        let letters = text.chars().filter(|character| character.is_alphabetic()).count();
        let digits = text.chars().filter(|character| character.is_numeric()).count();
        let latin = text.chars().all(|character| !character.is_alphabetic() || character.is_ascii());
        if latin {
            let ltr = digits > 0 && (letters == 0 || !text.contains(' '));
            return Self { ltr, parts: vec![(false, text.to_owned())] };
        }
        // Among Persian letters a date with hyphens would be read from its end.
        let part = |word: &str| {
            let has_letter_of_right = word.chars().any(|character| character.is_alphabetic() && !character.is_ascii());
            let has_mark = word.chars().any(|character| character.is_ascii_punctuation());
            let is_number = word.chars().any(char::is_numeric) && has_mark && !has_letter_of_right;
            (is_number, word.to_owned())
        };
        Self { ltr: false, parts: text.split_inclusive(' ').map(part).collect() }
    }
}

/// A stored time as milliseconds since 1970.
pub fn milliseconds(time: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

/// An offset such as `+03:30` in minutes.
pub fn offset_minutes(offset: &str) -> i32 {
    let (sign, rest) = match offset.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, offset.trim_start_matches('+')),
    };
    let part = |text: Option<&str>| text.and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    let mut parts = rest.split(':');
    sign * (part(parts.next()) * 60 + part(parts.next()))
}

/// Milliseconds as a wall clock at an offset counts them.
pub fn local_ms(ms: i64, offset_minutes: i32) -> i64 {
    ms.saturating_add(i64::from(offset_minutes) * 60_000)
}

fn gregorian(days: i64, write: impl FnOnce(time::Date) -> String) -> String {
    OffsetDateTime::from_unix_timestamp(days.saturating_mul(86_400)).map_or_else(|_| String::new(), |moment| write(moment.date()))
}

fn persian_digit(character: char) -> char {
    match character.to_digit(10) {
        Some(digit) if character.is_ascii_digit() => char::from_u32('۰' as u32 + digit).unwrap_or(character),
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_is_told_in_both_calendars_by_the_clock_that_was_there() {
        let told = Language::Persian.moment("2026-11-23T22:35:00Z", "+03:30");
        assert_eq!(told.text, "۳ آذر ۱۴۰۵، ۰۲:۰۵");
        assert_eq!(told.gregorian, "2026-11-24 02:05 UTC+03:30");
        assert_eq!(Language::English.moment("2026-11-23T22:35:00Z", "+00:00").text, "23 Nov 2026, 22:35");
        assert_eq!(Language::English.moment("no time", "").text, "no time");
    }

    #[test]
    fn what_is_long_ago_is_counted_in_days() {
        assert_eq!(Language::English.ago(0, 59_000), "just now");
        assert_eq!(Language::English.ago(0, 60 * 60_000), "1 h ago");
        assert_eq!(Language::Persian.ago(0, 4 * DAY_MS), "۴ روز پیش");
        assert_eq!(Language::English.ago(5_000, 0), "just now", "a clock that is ahead is no error");
    }

    #[test]
    fn names_stand_in_the_order_of_the_reader() {
        // By code point the letters that Persian added come last.
        let mut names = ["نادر", "پری", "گلناز", "هادی", "بهرام", "یاسر", "وحید"];
        let order = Language::Persian.collator();
        names.sort_by(|left, right| order.of(left, right));
        assert_eq!(names, ["بهرام", "پری", "گلناز", "نادر", "وحید", "هادی", "یاسر"]);
    }

    #[test]
    fn phones_and_identifiers_are_written_from_left_to_right_and_names_as_they_are() {
        let shown = |text| Isolated::new(text).render().unwrap_or_default();
        assert_eq!(shown("+98 915 123 4567"), "<bdi dir=\"ltr\" class=\"number\">+98 915 123 4567</bdi>");
        assert_eq!(shown("MHD-0042"), "<bdi dir=\"ltr\" class=\"number\">MHD-0042</bdi>");
        assert_eq!(shown("علی <b>"), "<bdi>علی &#60;b&#62;</bdi>");
        assert_eq!(shown("خیابان ۱۲"), "<bdi>خیابان ۱۲</bdi>");
        assert_eq!(shown("داوود – 2026-11-24"), "<bdi>داوود – <bdi dir=\"ltr\">2026-11-24</bdi></bdi>");
    }

    #[test]
    fn the_first_language_that_a_browser_asks_for_is_taken() {
        assert_eq!(Language::accepted("fa-IR,fa;q=0.9,en;q=0.8"), Language::Persian);
        assert_eq!(Language::accepted("de,en-GB;q=0.7,fa;q=0.3"), Language::English);
        assert_eq!(Language::accepted(""), Language::English);
    }
}
