//! Languages of a workbook: which there are, in pyxform's order, which is shown first, and what lacks a translation.
//!
//! A text that has no language and cannot stand in the form as it is (a choice with a picture, a guidance hint, a message
//! with `${}`) is one of the default language, so that the form has this language beside those of its columns.

use std::collections::BTreeMap;

use super::choices::ChoiceList;
use super::columns::{Sheet, TRANSLATED};
use super::draft::{Draft, Pending, Words};
use super::report::{Place, Report};
use super::settings::Settings;

/// What a text without a language belongs to, where the settings name no language.
pub const DEFAULT: &str = "default";

/// Codes of languages with two letters (IANA).
const CODES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee \
     el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in io is it iu iw \
     ja ji jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mo mr ms mt my na \
     nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr \
     ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// Languages in the order in which texts need them; none where nothing is translated.
pub fn found(draft: &Draft, choices: &BTreeMap<String, ChoiceList>, settings: &Settings) -> Vec<String> {
    let default = if settings.default_language.is_empty() { DEFAULT } else { &settings.default_language };
    let mut found: Vec<String> = Vec::new();
    let mut add = |words: &Words, needed: bool| {
        if needed || words.iter().any(|(language, _)| language.is_some()) {
            for (language, _) in words {
                let language = language.as_deref().unwrap_or(default);
                if !found.iter().any(|other| other == language) {
                    found.push(language.to_owned());
                }
            }
        }
    };
    let mut lists: Vec<&ChoiceList> = choices.values().collect();
    lists.sort_by_key(|list| list.rows.first().map(|choice| choice.row));
    for list in lists {
        let spoken = list.is_spoken();
        for choice in list.rows.iter().filter(|_| spoken) {
            add(&choice.label, true);
            choice.media.values().for_each(|words| add(words, true));
        }
    }
    for pending in &draft.pending {
        add(&pending.constraint_message, refers(&pending.constraint_message));
        add(&pending.required_message, refers(&pending.required_message));
        add(&pending.label, is_label_spoken(pending));
        add(&pending.hint, !pending.guidance_hint.is_empty());
        add(&pending.guidance_hint, true);
    }
    for pending in &draft.pending {
        pending.media.values().for_each(|words| add(words, true));
    }
    if found.len() == 1 && found.first().is_some_and(|only| only == DEFAULT) {
        found.clear();
    }
    found
}

/// A label with media has a language of its own.
pub fn is_label_spoken(pending: &Pending) -> bool {
    !pending.media.is_empty()
}

/// Whether words have `${}` in them.
pub fn refers(words: &Words) -> bool {
    words.iter().any(|(_, text)| text.contains("${"))
}

/// The language shown first.
pub fn first_shown(languages: &[String], settings: &Settings, report: &mut Report) -> usize {
    let wanted = settings.default_language.as_str();
    if wanted.is_empty() {
        return languages.iter().position(|language| language == DEFAULT).unwrap_or(0);
    }
    let exact = languages.iter().position(|language| language == wanted);
    let found = exact.or_else(|| languages.iter().position(|language| language.to_lowercase() == wanted.to_lowercase()));
    if found.is_none() && !languages.is_empty() {
        let place = Place { sheet: "settings", row: settings.row, column: "default_language" };
        let first = languages.first().map_or("", String::as_str);
        report.warn(place, &format!("no column has the language `{wanted}`; the form begins in `{first}`"));
    }
    found.unwrap_or(0)
}

/// Notes columns that a language lacks, and languages without a code that programs know.
pub fn check(sheets: &BTreeMap<String, Sheet>, languages: &[String], other_added: bool, report: &mut Report) {
    let mut translated = false;
    for name in ["survey", "choices"] {
        let Some(sheet) = sheets.get(name) else { continue };
        let columns: Vec<&str> = TRANSLATED.iter().copied().filter(|column| sheet.has(column)).collect();
        let mut seen: Vec<Option<&str>> = Vec::new();
        for header in sheet.headers.values().filter(|header| columns.contains(&header.key.as_str())) {
            if !seen.contains(&header.language.as_deref()) {
                seen.push(header.language.as_deref());
            }
        }
        if seen.iter().all(Option::is_none) {
            continue;
        }
        translated = true;
        for language in seen {
            let has = |column: &&&str| {
                sheet.headers.values().any(|header| header.key == ***column && header.language.as_deref() == language)
            };
            let missing: Vec<&str> = columns.iter().filter(|column| !has(column)).copied().collect();
            if !missing.is_empty() {
                let language = language.unwrap_or(DEFAULT);
                let message = format!("the language `{language}` lacks the columns {}", missing.join(", "));
                report.warn(Place { sheet: name, row: 1, column: "" }, &message);
            }
        }
    }
    if translated && other_added {
        let message =
            "`or_other` adds words in English only: give the list a choice `other` and ask for it in a question of its own";
        report.warn(Place { sheet: "survey", row: 0, column: "type" }, message);
    }
    for language in languages.iter().filter(|language| !has_code(language)) {
        let message = format!("the language `{language}` has no code: write it as `{language} (xx)`, with the code in brackets");
        report.warn(Place { sheet: "survey", row: 1, column: "" }, &message);
    }
}

/// `English (en)`; the default language and names of two letters need none. Longer codes are not looked up.
fn has_code(language: &str) -> bool {
    if language == DEFAULT || language.chars().count() < 3 {
        return true;
    }
    let code = language.strip_suffix(')').and_then(|rest| rest.split_once('(')).map_or("", |(_, code)| code);
    let is_lower = code.chars().all(|letter| letter.is_ascii_lowercase());
    match code.len() {
        2 => CODES.split(' ').any(|known| known == code),
        3..=8 => is_lower,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::has_code;

    #[test]
    fn languages_have_codes() {
        for language in ["English (en)", "فارسی (fa)", "Hazaragi (haz)", "en", "default"] {
            assert!(has_code(language), "{language}");
        }
        for language in ["English", "English (xx)", "English (EN)", "fr-FR", "English (en) "] {
            assert!(!has_code(language), "{language}");
        }
    }
}
