//! The settings sheet: one row of facts about the whole form.

use std::collections::BTreeMap;

use super::columns::Sheet;
use super::references::{is_element_name, similar};
use super::report::{Place, Report};

/// What the settings say, with pyxform's defaults.
#[derive(Debug, Default)]
pub struct Settings {
    pub row: u32,
    pub form_title: String,
    pub form_id: String,
    pub version: String,
    pub root_name: String,
    pub default_language: String,
    pub instance_name: String,
    pub style: String,
    pub allow_choice_duplicates: bool,
    pub omit_instance_id: bool,
    /// What other tools fill `meta/instanceID` with, where that is not `uid`.
    pub instance_id: String,
    /// Whether a `select_multiple` refuses the choice `none` beside others.
    pub none_alone: bool,
    pub keep_spaces: bool,
    /// Settings that are handed on ([`crate::model::Form::settings`]).
    pub others: BTreeMap<String, String>,
}

/// Settings that are understood, or harmless here.
const KNOWN: [&str; 27] = [
    "form_title",
    "form_id",
    "version",
    "default_language",
    "instance_name",
    "style",
    "allow_choice_duplicates",
    "omit_instanceid",
    "name",
    "clean_text_values",
    "public_key",
    "submission_url",
    "auto_send",
    "auto_delete",
    "instance_xmlns",
    "namespaces",
    "prefix",
    "delimiter",
    "instance_id",
    "add_none_option",
    "client_editable",
    "sms_keyword",
    "sms_separator",
    "sms_allow_media",
    "sms_date_format",
    "sms_datetime_format",
    "sms_response",
];

/// Settings that are handed on.
const OTHERS: [&str; 9] = [
    "submission_url",
    "public_key",
    "auto_send",
    "auto_delete",
    "client_editable",
    "namespaces",
    "instance_xmlns",
    "prefix",
    "delimiter",
];

/// Reads the row below the header. `file_name` names a form that gives itself no id.
pub fn read(sheet: Option<&Sheet>, file_name: &str, report: &mut Report) -> Settings {
    let stem = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let fallback = if stem.is_empty() { "data" } else { stem };
    let mut settings = Settings { root_name: "data".to_owned(), form_id: fallback.to_owned(), ..Settings::default() };
    let Some((sheet, row)) = sheet.and_then(|sheet| Some((sheet, sheet.rows.first()?))) else {
        settings.form_title.clone_from(&settings.form_id);
        return settings;
    };
    settings.row = row.number;
    let text = |key: &str| sheet.text(row, key).to_owned();
    let place = |column| Place { sheet: "settings", row: row.number, column };
    if !text("form_id").is_empty() {
        settings.form_id = text("form_id");
    }
    settings.form_title = text("form_title");
    if settings.form_title.is_empty() {
        settings.form_title.clone_from(&settings.form_id);
    }
    settings.version = text("version");
    settings.default_language = text("default_language");
    settings.instance_name = text("instance_name");
    settings.style = text("style");
    settings.allow_choice_duplicates = is_yes(&text("allow_choice_duplicates"));
    settings.omit_instance_id = is_yes(&text("omit_instanceid"));
    settings.instance_id = text("instance_id");
    settings.none_alone = is_yes(&text("add_none_option"));
    settings.keep_spaces = is_no(&text("clean_text_values"));
    settings.others = OTHERS.iter().map(|key| ((*key).to_owned(), text(key))).filter(|(_, value)| !value.is_empty()).collect();
    for (header, value) in sheet.cells(row) {
        let name =
            header.text.strip_prefix("attribute").and_then(|rest| rest.strip_prefix("::").or_else(|| rest.strip_prefix(':')));
        if let Some(name) = name {
            settings.others.insert(format!("attribute::{}", name.trim()), value.to_owned());
        }
    }
    if settings.omit_instance_id {
        settings.others.insert("omit_instanceID".to_owned(), "yes".to_owned());
    }
    let root_name = text("name");
    if !root_name.is_empty() {
        if is_element_name(&root_name) {
            settings.root_name = root_name;
        } else {
            report.fault(
                place("name"),
                format!("`{root_name}` cannot name the form's root"),
                "begin with a letter; use letters, digits, `_`, `-` and `.`",
            );
        }
    }
    if !text("public_key").is_empty() && settings.omit_instance_id {
        let message = "an encrypted form needs the instance's id";
        report.fault(place("omit_instanceID"), message, "remove `omit_instanceID`");
    }
    if !text("public_key").is_empty() {
        report.warn(
            place("public_key"),
            "submissions are not encrypted with the form's key: Karwan encrypts what it stores by itself",
        );
    }
    for header in sheet.headers.values() {
        if !KNOWN.contains(&header.key.as_str()) && !header.key.starts_with("attribute") {
            let near =
                similar(&header.key, KNOWN.into_iter()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let place = Place { sheet: "settings", row: 1, column: &header.text };
            report.warn(place, &format!("this setting is not known and is ignored{near}"));
        }
    }
    settings
}

impl Settings {
    /// What rows of the survey sheet say: the type names the setting, the name is its value.
    pub fn amend(&mut self, rows: &[(String, String)]) {
        for (setting, value) in rows {
            match setting.as_str() {
                "form_title" | "set_form_title" => self.form_title.clone_from(value),
                "form_id" | "set_form_id" => self.form_id.clone_from(value),
                _ => {}
            }
        }
    }
}

/// `yes`, `true`, `TRUE`, `true()`.
pub fn is_yes(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "yes" | "true" | "true()")
}

/// `no`, `false`, `FALSE`, `false()`.
pub fn is_no(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "no" | "false" | "false()")
}
