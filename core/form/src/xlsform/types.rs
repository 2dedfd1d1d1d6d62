//! What a cell of the column `type` asks for.

use crate::model::{ControlKind, DataType};

/// A row of the survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowType {
    BeginGroup,
    EndGroup,
    BeginRepeat,
    EndRepeat,
    Question(Question),
    /// `select_one LIST`, `select_multiple_from_file people.csv or_other`, `rank LIST`, `select_one ${repeat_question}`.
    Select {
        kind: ControlKind,
        list: String,
        from_file: bool,
        or_other: bool,
    },
    /// `csv-external`, `xml-external`: only names a file; the extension.
    ExternalInstance(&'static str),
    /// `audit`: a file that the device writes.
    Audit,
    /// Understood and not done, with what to do instead.
    Refused(&'static str),
    /// A setting in the survey sheet (`form_title`).
    Setting,
    Unknown,
}

/// A question that is no select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub data_type: DataType,
    pub control: Option<ControlKind>,
    pub preload: Option<&'static str>,
    /// MIME pattern of an upload.
    pub media_type: Option<&'static str>,
    pub special: Special,
    /// `percentage` and its kin bring one.
    pub constraint: Option<&'static str>,
}

/// Types that do more than hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    None,
    Note,
    Calculate,
    Range,
    Photo,
    StartGeopoint,
    BackgroundGeopoint,
    BackgroundAudio,
}

fn question(data_type: DataType, control: Option<ControlKind>) -> Question {
    Question { data_type, control, preload: None, media_type: None, special: Special::None, constraint: None }
}

fn input(data_type: DataType) -> RowType {
    RowType::Question(question(data_type, Some(ControlKind::Input)))
}

fn upload(media_type: &'static str) -> RowType {
    let special = if media_type == "image/*" { Special::Photo } else { Special::None };
    RowType::Question(Question { media_type: Some(media_type), special, ..question(DataType::Binary, Some(ControlKind::Upload)) })
}

fn preload(data_type: DataType, preload: &'static str) -> RowType {
    RowType::Question(Question { preload: Some(preload), ..question(data_type, None) })
}

fn special(data_type: DataType, control: Option<ControlKind>, special: Special) -> RowType {
    RowType::Question(Question { special, ..question(data_type, control) })
}

fn bounded(constraint: &'static str) -> RowType {
    RowType::Question(Question { constraint: Some(constraint), ..question(DataType::Int, Some(ControlKind::Input)) })
}

const SELECTS: &[(&str, ControlKind, bool)] = &[
    ("add select one prompt using", ControlKind::SelectOne, false),
    ("add select multiple prompt using", ControlKind::SelectMultiple, false),
    ("select all that apply from", ControlKind::SelectMultiple, false),
    ("select all that apply", ControlKind::SelectMultiple, false),
    ("select_one_from_file", ControlKind::SelectOne, true),
    ("select one from file", ControlKind::SelectOne, true),
    ("select_multiple_from_file", ControlKind::SelectMultiple, true),
    ("select multiple from file", ControlKind::SelectMultiple, true),
    ("select one from", ControlKind::SelectOne, false),
    ("select_one", ControlKind::SelectOne, false),
    ("select one", ControlKind::SelectOne, false),
    ("select1", ControlKind::SelectOne, false),
    ("select_multiple", ControlKind::SelectMultiple, false),
    ("select multiple", ControlKind::SelectMultiple, false),
    ("rank", ControlKind::Rank, false),
];

/// Names offered for a mistyped one.
pub const NAMES: &[&str] = &[
    "text",
    "integer",
    "decimal",
    "date",
    "time",
    "dateTime",
    "select_one",
    "select_multiple",
    "rank",
    "range",
    "note",
    "geopoint",
    "geotrace",
    "geoshape",
    "image",
    "audio",
    "video",
    "file",
    "barcode",
    "acknowledge",
    "calculate",
    "hidden",
    "begin_group",
    "end_group",
    "begin_repeat",
    "end_repeat",
    "start",
    "end",
    "today",
    "deviceid",
    "username",
    "phonenumber",
    "email",
    "audit",
    "start-geopoint",
    "background-audio",
    "background-geopoint",
    "csv-external",
    "xml-external",
];

/// Reads the cell. Spaces and underscores between words mean the same, and so do upper and lower case where no list is named.
pub fn parse(text: &str) -> RowType {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = text.to_lowercase();
    if let Some(container) = container(&lower) {
        return container;
    }
    if let Some(select) = select(&text, &lower) {
        return select;
    }
    let plain = lower.strip_prefix("add ").and_then(|rest| rest.strip_suffix(" prompt")).unwrap_or(&lower);
    match plain.strip_prefix("q ").unwrap_or(plain) {
        "text" | "string" => input(DataType::String),
        "integer" | "int" => input(DataType::Int),
        "decimal" => input(DataType::Decimal),
        "date" => input(DataType::Date),
        "time" => input(DataType::Time),
        "datetime" | "date time" => input(DataType::DateTime),
        "geopoint" | "gps" | "location" => input(DataType::GeoPoint),
        "geotrace" => input(DataType::GeoTrace),
        "geoshape" => input(DataType::GeoShape),
        "barcode" => input(DataType::Barcode),
        "photo" | "image" | "picture" => upload("image/*"),
        "audio" => upload("audio/*"),
        "video" => upload("video/*"),
        "file" => upload("application/*"),
        "note" => special(DataType::String, Some(ControlKind::Note), Special::Note),
        "calculate" => special(DataType::String, None, Special::Calculate),
        "hidden" => RowType::Question(question(DataType::String, None)),
        "acknowledge" | "trigger" => RowType::Question(question(DataType::String, Some(ControlKind::Trigger))),
        "range" => special(DataType::Int, Some(ControlKind::Range), Special::Range),
        "percentage" => bounded("0 <= . and . <= 100"),
        "number of days in last month" => bounded("0 <= . and . <= 31"),
        "number of days in last six months" => bounded("0 <= . and . <= 183"),
        "number of days in last year" => bounded("0 <= . and . <= 365"),
        "phone number" => RowType::Question(Question {
            constraint: Some("regex(., '^\\d*$')"),
            ..question(DataType::String, Some(ControlKind::Input))
        }),
        "start" | "start time" | "get start time" => preload(DataType::DateTime, "start"),
        "end" | "end time" | "get end time" => preload(DataType::DateTime, "end"),
        "today" | "get today" => preload(DataType::Date, "today"),
        "deviceid" | "device id" | "get device id" | "imei" | "uri:deviceid" => preload(DataType::String, "deviceid"),
        "username" | "uri:username" => preload(DataType::String, "username"),
        "phonenumber" | "get phone number" | "uri:phonenumber" => preload(DataType::String, "phonenumber"),
        "email" | "uri:email" => preload(DataType::String, "email"),
        "simserial" | "sim id" | "get sim id" | "uri:simserial" => preload(DataType::String, "simserial"),
        "subscriberid" | "subscriber id" | "get subscriber id" | "uri:subscriberid" => preload(DataType::String, "subscriberid"),
        "uid" => preload(DataType::String, "uid"),
        "start-geopoint" => special(DataType::GeoPoint, None, Special::StartGeopoint),
        "background-geopoint" => special(DataType::GeoPoint, None, Special::BackgroundGeopoint),
        "background-audio" => special(DataType::Binary, None, Special::BackgroundAudio),
        "csv-external" => RowType::ExternalInstance("csv"),
        "xml-external" => RowType::ExternalInstance("xml"),
        "audit" => RowType::Audit,
        "form_title" | "set form title" | "form_id" | "set form id" | "prefix" => RowType::Setting,
        other if other == "osm" || other.starts_with("osm ") => RowType::Refused("ask for a `geopoint` or a `geoshape` instead"),
        other if other.starts_with("select_one_external") => {
            RowType::Refused("use `select_one_from_file` with a CSV file and a `choice_filter`")
        }
        other
            if other.starts_with("begin loop")
                || other.starts_with("end loop")
                || other.starts_with("begin_loop")
                || other.starts_with("end_loop") =>
        {
            RowType::Refused("use `begin_repeat`")
        }
        other if other.starts_with("cascading") => RowType::Refused("use `select_one` with a `choice_filter`"),
        _ => RowType::Unknown,
    }
}

fn container(lower: &str) -> Option<RowType> {
    let (verb, what) = lower.split_once([' ', '_'])?;
    match (verb, what) {
        ("begin", "group") => Some(RowType::BeginGroup),
        ("begin", "repeat" | "lgroup" | "looped group") => Some(RowType::BeginRepeat),
        ("end", "group") => Some(RowType::EndGroup),
        ("end", "repeat" | "lgroup" | "looped group") => Some(RowType::EndRepeat),
        _ => None,
    }
}

fn select(text: &str, lower: &str) -> Option<RowType> {
    let (command, kind, from_file) = SELECTS
        .iter()
        .find(|(command, ..)| lower == *command || lower.strip_prefix(command).is_some_and(|rest| rest.starts_with(' ')))?;
    let rest = text.get(command.len()..)?.trim();
    let (list, or_other) = ["or specify other", "or_other", "or other"]
        .iter()
        .find_map(|suffix| {
            let at = rest.len().checked_sub(suffix.len())?;
            let tail = rest.get(at..)?;
            (tail.eq_ignore_ascii_case(suffix) && rest.get(..at)?.ends_with(' ')).then(|| rest.get(..at)).flatten()
        })
        .map_or((rest, false), |list| (list.trim(), true));
    Some(RowType::Select { kind: *kind, list: list.to_owned(), from_file: *from_file, or_other })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn types_have_many_names() {
        for (one, other) in [
            ("begin group", "begin_group"),
            ("end  Repeat", "end_repeat"),
            ("string", "text"),
            ("Integer", "int"),
            ("dateTime", "datetime"),
            ("image", "photo"),
            ("acknowledge", "trigger"),
            ("select one yn", "select_one yn"),
            ("select1 yn", "select_one yn"),
            ("select all that apply from yn", "select_multiple yn"),
            ("select_one yn or other", "select_one yn or_other"),
            ("add text prompt", "text"),
            ("location", "geopoint"),
        ] {
            assert_eq!(parse(one), parse(other), "{one}");
            assert_ne!(parse(one), RowType::Unknown, "{one}");
        }
        assert_eq!(
            parse("select_multiple_from_file Persons.csv"),
            RowType::Select {
                kind: ControlKind::SelectMultiple,
                list: "Persons.csv".to_owned(),
                from_file: true,
                or_other: false
            }
        );
        assert_eq!(
            parse("select_one yes_no or_other"),
            RowType::Select { kind: ControlKind::SelectOne, list: "yes_no".to_owned(), from_file: false, or_other: true }
        );
        assert!(matches!(parse("osm"), RowType::Refused(_)));
        assert!(matches!(parse("select_one_external villages"), RowType::Refused(_)));
        assert_eq!(parse("integr"), RowType::Unknown);
        assert_eq!(parse("begin"), RowType::Unknown);
    }
}
