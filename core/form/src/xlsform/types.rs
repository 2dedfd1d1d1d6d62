//! What a cell of the column `type` asks for.

use super::references::similar;
use crate::model::{ControlKind, DataType};

/// A row of the survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowType {
    Begin(Container),
    End(Container),
    Question(Question),
    /// `select_one LIST`, `select_multiple_from_file people.csv or_other`, `rank LIST`, `select_one ${repeat_question}`.
    Select {
        kind: ControlKind,
        list: String,
        from: From,
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

/// What `begin` opens and `end` closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Group,
    Repeat,
}

/// Where a select's command says that its choices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The choices sheet, a file all the same, or answers of a repeat.
    List,
    File,
    /// The sheet `external_choices`.
    ExternalChoices,
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
    /// Said where the author gives no hint.
    pub hint: Option<&'static str>,
    /// Whose parameters it takes (see [`super::parameters`]); blank: any.
    pub parameters: &'static str,
}

/// Types that do more than hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    None,
    /// May be left without a name.
    Note,
    Calculate,
    Range,
    Photo,
    StartGeopoint,
    BackgroundGeopoint,
    BackgroundAudio,
}

fn question(data_type: DataType, control: Option<ControlKind>) -> Question {
    let (special, parameters) = (Special::None, "");
    Question { data_type, control, preload: None, media_type: None, special, constraint: None, hint: None, parameters }
}

fn input(data_type: DataType) -> RowType {
    RowType::Question(question(data_type, Some(ControlKind::Input)))
}

fn with_parameters(row_type: RowType, parameters: &'static str) -> RowType {
    match row_type {
        RowType::Question(question) => RowType::Question(Question { parameters, ..question }),
        other => other,
    }
}

fn upload(media_type: &'static str) -> RowType {
    RowType::Question(Question { media_type: Some(media_type), ..question(DataType::Binary, Some(ControlKind::Upload)) })
}

fn preload(data_type: DataType, preload: &'static str) -> RowType {
    RowType::Question(Question { preload: Some(preload), ..question(data_type, None) })
}

fn special(data_type: DataType, control: Option<ControlKind>, special: Special) -> RowType {
    RowType::Question(Question { special, ..question(data_type, control) })
}

fn bounded(constraint: &'static str, hint: Option<&'static str>) -> RowType {
    RowType::Question(Question { constraint: Some(constraint), hint, ..question(DataType::Int, Some(ControlKind::Input)) })
}

/// Commands of selects and ranks, the longer before those that they begin with.
const SELECTS: &[(&str, ControlKind, From)] = &[
    ("add select one prompt using", ControlKind::SelectOne, From::List),
    ("add select multiple prompt using", ControlKind::SelectMultiple, From::List),
    ("select all that apply from", ControlKind::SelectMultiple, From::List),
    ("select all that apply", ControlKind::SelectMultiple, From::List),
    ("select_one_from_file", ControlKind::SelectOne, From::File),
    ("select one from file", ControlKind::SelectOne, From::File),
    ("select_multiple_from_file", ControlKind::SelectMultiple, From::File),
    ("select multiple from file", ControlKind::SelectMultiple, From::File),
    ("select_one_external", ControlKind::SelectOne, From::ExternalChoices),
    ("select one from", ControlKind::SelectOne, From::List),
    ("select_one", ControlKind::SelectOne, From::List),
    ("select one", ControlKind::SelectOne, From::List),
    ("select1", ControlKind::SelectOne, From::List),
    ("select_multiple", ControlKind::SelectMultiple, From::List),
    ("rank", ControlKind::Rank, From::List),
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

/// What opens and closes groups.
pub const ENDS: &[&str] = &["begin_group", "begin_repeat", "end_group", "end_repeat"];

/// Words of other tools and of everyday, and what to write for them.
const MEANT: &[(&[&str], &str)] = &[
    (&["number", "numeric", "num"], "write `integer` for whole numbers, or `decimal`"),
    (&["float", "double", "real"], "write `decimal`"),
    (
        &["dropdown", "radio", "single_choice", "choice", "select", "list"],
        "write `select_one LIST` with a list of the choices sheet",
    ),
    (
        &["checkbox", "checkboxes", "multiple_choice", "multiselect"],
        "write `select_multiple LIST` with a list of the choices sheet",
    ),
    (&["boolean", "bool", "yesno", "yes_no"], "write `select_one LIST` with a list of `yes` and `no`"),
    (&["picture", "camera"], "write `image`"),
    (&["signature", "draw"], "write `image` with the appearance `signature` or `draw`"),
    (&["textarea", "paragraph", "longtext", "multiline"], "write `text` with the appearance `multiline`"),
    (&["phone", "telephone"], "write `text` with the appearance `numbers`: a phone number may begin with 0"),
    (&["heading", "title", "label", "info", "message", "html"], "write `note`"),
    (&["section", "page", "group"], "write `begin_group`, and `end_group` where it ends"),
    (&["repeat", "loop", "roster", "table"], "write `begin_repeat`, and `end_repeat` where it ends"),
    (&["formula", "calculation", "computed"], "write `calculate`"),
    (&["qr", "qrcode", "scan"], "write `barcode`"),
    (&["point", "map", "coordinates"], "write `geopoint`"),
    (&["polygon", "area"], "write `geoshape`"),
    (&["line", "path"], "write `geotrace`"),
    (&["slider", "scale"], "write `range`"),
];

/// What to write for a type that is none.
pub fn meant(text: &str) -> String {
    let word = text.to_lowercase().replace([' ', '-'], "_");
    if let Some((_, mend)) = MEANT.iter().find(|(words, _)| words.contains(&word.as_str())) {
        return (*mend).to_owned();
    }
    similar(text, NAMES.iter().copied())
        .map_or_else(|| "use a question type of XLSForm, such as `text`".to_owned(), |name| format!("did you mean `{name}`?"))
}

/// Reads the cell. As in pyxform, upper and lower case are different; several spaces are one.
pub fn parse(text: &str) -> RowType {
    let text = &text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some(container) = container(text) {
        return container;
    }
    if let Some(select) = select(text) {
        return select;
    }
    asked(text).or_else(|| unasked(text)).unwrap_or(RowType::Unknown)
}

/// Whether the type is a select with `or_other`.
pub fn adds_other(text: &str) -> bool {
    matches!(parse(text), RowType::Select { or_other: true, .. })
}

/// Types that a person answers, with all their names.
fn asked(text: &str) -> Option<RowType> {
    Some(match text {
        "text" => with_parameters(input(DataType::String), "text"),
        "string" | "q string" | "add text prompt" => input(DataType::String),
        "integer" | "int" | "q int" | "add integer prompt" => input(DataType::Int),
        "decimal" | "q decimal" | "add decimal prompt" => input(DataType::Decimal),
        "date" | "q date" | "add date prompt" => input(DataType::Date),
        "time" => input(DataType::Time),
        "dateTime" | "datetime" | "date time" | "q dateTime" | "q date time" | "add dateTime prompt" | "add date time prompt" => {
            input(DataType::DateTime)
        }
        "geopoint" => with_parameters(input(DataType::GeoPoint), "geopoint"),
        "gps" | "location" | "q geopoint" | "q location" | "add location prompt" => input(DataType::GeoPoint),
        "geotrace" => with_parameters(input(DataType::GeoTrace), "geotrace"),
        "q geotrace" => input(DataType::GeoTrace),
        "geoshape" => with_parameters(input(DataType::GeoShape), "geotrace"),
        "q geoshape" => input(DataType::GeoShape),
        "barcode" | "q barcode" | "add barcode prompt" => input(DataType::Barcode),
        "image" | "photo" | "add image prompt" | "add photo prompt" => match upload("image/*") {
            RowType::Question(question) => {
                RowType::Question(Question { special: Special::Photo, parameters: "image", ..question })
            }
            other => other,
        },
        "q image" | "q picture" => upload("image/*"),
        "audio" | "add audio prompt" => with_parameters(upload("audio/*"), "audio"),
        "q audio" => upload("audio/*"),
        "video" | "q video" | "add video prompt" => upload("video/*"),
        "file" | "add file prompt" => upload("application/*"),
        "note" => special(DataType::String, Some(ControlKind::Note), Special::Note),
        "q note" | "add note prompt" => RowType::Question(question(DataType::String, Some(ControlKind::Note))),
        "acknowledge" | "trigger" | "q acknowledge" | "add acknowledge prompt" => {
            RowType::Question(question(DataType::String, Some(ControlKind::Trigger)))
        }
        "range" => with_parameters(special(DataType::Int, Some(ControlKind::Range), Special::Range), "range"),
        "percentage" => bounded("0 <= . and . <= 100", None),
        "number of days in last month" => bounded("0 <= . and . <= 31", Some("Enter a number 0-31.")),
        "number of days in last six months" => bounded("0 <= . and . <= 183", Some("Enter a number 0-183.")),
        "number of days in last year" => bounded("0 <= . and . <= 365", Some("Enter a number 0-365.")),
        "phone number" => RowType::Question(Question {
            constraint: Some("regex(., '^\\d*$')"),
            hint: Some("Enter numbers only."),
            ..question(DataType::String, Some(ControlKind::Input))
        }),
        _ => return None,
    })
}

/// Types that nobody is asked, and those that are refused by name.
fn unasked(text: &str) -> Option<RowType> {
    Some(match text {
        "calculate" => special(DataType::String, None, Special::Calculate),
        "hidden" | "q calculate" | "add calculate prompt" => RowType::Question(question(DataType::String, None)),
        "start" | "start time" | "get start time" => preload(DataType::DateTime, "start"),
        "end" | "end time" | "get end time" => preload(DataType::DateTime, "end"),
        "today" | "get today" => preload(DataType::Date, "today"),
        "deviceid" | "device id" | "get device id" | "imei" => preload(DataType::String, "deviceid"),
        "uri:deviceid" => preload(DataType::String, "uri:deviceid"),
        "username" => preload(DataType::String, "username"),
        "uri:username" => preload(DataType::String, "uri:username"),
        "phonenumber" | "get phone number" => preload(DataType::String, "phonenumber"),
        "uri:phonenumber" => preload(DataType::String, "uri:phonenumber"),
        "email" => preload(DataType::String, "email"),
        "uri:email" => preload(DataType::String, "uri:email"),
        "simserial" | "sim id" | "get sim id" => preload(DataType::String, "simserial"),
        "uri:simserial" => preload(DataType::String, "uri:simserial"),
        "subscriberid" | "subscriber id" | "get subscriber id" => preload(DataType::String, "subscriberid"),
        "uri:subscriberid" => preload(DataType::String, "uri:subscriberid"),
        "start-geopoint" => special(DataType::GeoPoint, None, Special::StartGeopoint),
        "background-geopoint" => special(DataType::GeoPoint, Some(ControlKind::Trigger), Special::BackgroundGeopoint),
        "background-audio" => with_parameters(special(DataType::Binary, None, Special::BackgroundAudio), "background-audio"),
        "csv-external" => RowType::ExternalInstance("csv"),
        "xml-external" => RowType::ExternalInstance("xml"),
        "audit" => RowType::Audit,
        "form_title" | "set_form_title" | "form_id" | "set_form_id" | "prefix" => RowType::Setting,
        _ if text == "osm" || text.starts_with("osm ") => RowType::Refused("ask for a `geopoint` or a `geoshape` instead"),
        _ if is_loop(text) => RowType::Refused("use `begin_repeat`, or a group with a row for each"),
        _ if text.starts_with("cascading") => RowType::Refused("use `select_one` with a `choice_filter`"),
        _ => return None,
    })
}

fn is_loop(text: &str) -> bool {
    ["begin loop", "begin_loop", "end loop", "end_loop"].iter().any(|word| text.starts_with(word))
}

/// `begin group`, `end_repeat`; what follows a `begin` is passed over, as pyxform does.
fn container(text: &str) -> Option<RowType> {
    let rest = |verb: &str| text.strip_prefix(verb).and_then(|rest| rest.strip_prefix([' ', '_']));
    let opened = rest("begin");
    let what = opened.or_else(|| rest("end"))?;
    let names = [
        ("looped group", Container::Repeat),
        ("lgroup", Container::Repeat),
        ("repeat", Container::Repeat),
        ("group", Container::Group),
    ];
    let (after, container) = names.iter().find_map(|(name, container)| Some((what.strip_prefix(name)?, *container)))?;
    if opened.is_none() {
        return after.is_empty().then_some(RowType::End(container));
    }
    let extra = after.strip_prefix(' ').map(|extra| extra.strip_prefix("over ").unwrap_or(extra));
    let fits = after.is_empty() || extra.is_some_and(|extra| !extra.is_empty() && !extra.contains(' '));
    fits.then_some(RowType::Begin(container))
}

fn select(text: &str) -> Option<RowType> {
    let (command, kind, from) = SELECTS
        .iter()
        .find(|(command, ..)| text.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))?;
    let rest = text.get(command.len()..)?.trim();
    let (list, or_other) = ["or specify other", "or_other", "or other"]
        .iter()
        .find_map(|suffix| rest.strip_suffix(suffix)?.strip_suffix(' '))
        .map_or((rest, false), |list| (list, true));
    Some(RowType::Select { kind: *kind, list: list.to_owned(), from: *from, or_other })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn types_have_many_names() {
        for (one, other) in [
            ("begin group", "begin_group"),
            ("begin group people", "begin_group"),
            ("end looped group", "end_repeat"),
            ("string", "add text prompt"),
            ("integer", "int"),
            ("dateTime", "datetime"),
            ("image", "photo"),
            ("acknowledge", "trigger"),
            ("select one yn", "select_one yn"),
            ("select1 yn", "select_one yn"),
            ("select all that apply from yn", "select_multiple yn"),
            ("select_one yn or other", "select_one yn or_other"),
            ("location", "gps"),
        ] {
            assert_eq!(parse(one), parse(other), "{one}");
            assert_ne!(parse(one), RowType::Unknown, "{one}");
        }
        assert_eq!(
            parse("select_multiple_from_file Persons.csv"),
            RowType::Select {
                kind: ControlKind::SelectMultiple,
                list: "Persons.csv".to_owned(),
                from: From::File,
                or_other: false
            }
        );
        assert_eq!(
            parse("select_one_external towns"),
            RowType::Select {
                kind: ControlKind::SelectOne,
                list: "towns".to_owned(),
                from: From::ExternalChoices,
                or_other: false
            }
        );
        assert_eq!(
            parse("select_one yes_no or_other"),
            RowType::Select { kind: ControlKind::SelectOne, list: "yes_no".to_owned(), from: From::List, or_other: true }
        );
        assert!(matches!(parse("osm"), RowType::Refused(_)));
        assert!(matches!(parse("begin loop over people"), RowType::Refused(_)));
        for unknown in ["integr", "begin", "Text", "Select_One yn", "begin-group", "end group people", "select multiple yn"] {
            assert_eq!(parse(unknown), RowType::Unknown, "{unknown}");
        }
    }
}
