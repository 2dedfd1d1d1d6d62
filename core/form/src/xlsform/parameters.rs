//! The columns `parameters` and `appearance`.

use std::collections::BTreeMap;

use super::references::is_element_name;

/// Reads `start=1 end=5; step = 0.5`: pairs separated by spaces, commas or semicolons.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut parameters = BTreeMap::new();
    if text.trim().is_empty() {
        return Ok(parameters);
    }
    // Words and `=`; spaces, commas and semicolons stand between them.
    let spaced = text.replace('=', " = ");
    let mut words = spaced.split([' ', ',', ';', '\t', '\n', '\r', '\u{a0}']).filter(|word| !word.is_empty()).peekable();
    while let Some(name) = words.next() {
        let value = words.next_if_eq(&"=").and_then(|_| words.next());
        let Some(value) = value.filter(|value| *value != "=" && name != "=") else {
            return Err(format!("`{name}` is no parameter"));
        };
        let name = name.to_lowercase();
        // Names of columns keep their spelling.
        let value =
            if matches!(name.as_str(), "label" | "value" | "seed" | "app") { value.to_owned() } else { value.to_lowercase() };
        parameters.insert(name, value);
    }
    Ok(parameters)
}

/// What is wrong with the parameters of a question: `of` is its type, or what its type is one of. Other types take any.
pub fn faults(of: &str, parameters: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let known: &[&str] = match of {
        "range" => &["end", "placeholder", "start", "step", "tick_interval", "tick_labelset"],
        "image" => &["app", "max-pixels"],
        "audio" | "background-audio" => &["quality"],
        "geopoint" => &["allow-mock-accuracy", "capture-accuracy", "reference-geometry", "warning-accuracy"],
        "geotrace" => &["allow-mock-accuracy", "incremental", "reference-geometry"],
        "text" => &["rows"],
        "select" => &["randomize", "seed"],
        "select from file" => &["label", "randomize", "seed", "value"],
        "audit" => &[
            "identify-user",
            "location-max-age",
            "location-min-interval",
            "location-priority",
            "track-changes",
            "track-changes-reasons",
        ],
        _ => return Vec::new(),
    };
    let mut faults = Vec::new();
    let mut bad = |name: &str, value: &str, mend: &str| {
        faults.push((format!("`{value}` is not a value of the parameter `{name}`"), mend.to_owned()));
    };
    for (name, value) in parameters.iter().filter(|(name, _)| known.contains(&name.as_str())) {
        let one_of = |words: &[&str]| words.contains(&value.as_str());
        let is_whole = value.parse::<i64>().is_ok();
        match name.as_str() {
            "max-pixels" | "rows" | "location-min-interval" | "location-max-age" if !is_whole => {
                bad(name, value, "write a whole number");
            }
            "capture-accuracy" | "warning-accuracy" if value.parse::<f64>().is_err() => {
                bad(name, value, "write a number of metres");
            }
            "allow-mock-accuracy" | "randomize" | "track-changes" | "identify-user" if !one_of(&["true", "false"]) => {
                bad(name, value, "write `true` or `false`");
            }
            "incremental" if !one_of(&["true", "yes", "true()"]) => bad(name, value, "write `true`, or leave the parameter out"),
            "track-changes-reasons" if value != "on-form-edit" => bad(name, value, "write `on-form-edit`"),
            "location-priority" if !one_of(&["no-power", "low-power", "balanced", "high-accuracy"]) => {
                bad(name, value, "write `no-power`, `low-power`, `balanced` or `high-accuracy`");
            }
            "quality" if of == "audio" && !one_of(&["voice-only", "low", "normal", "external"]) => {
                bad(name, value, "write `voice-only`, `low`, `normal` or `external`");
            }
            "quality" if of == "background-audio" && !one_of(&["voice-only", "low", "normal"]) => {
                bad(name, value, "write `voice-only`, `low` or `normal`");
            }
            "location-min-interval" | "location-max-age" if value.starts_with('-') => {
                bad(name, value, "write seconds, 0 or more");
            }
            "value" | "label" if !is_element_name(value) => {
                bad(name, value, "write the name of a column or property of the file");
            }
            "seed" if parameters.contains_key("randomize") && value.parse::<f64>().is_err() && !value.starts_with("${") => {
                bad(name, value, "write a number or `${question}`");
            }
            "app" if !is_package(value) => bad(name, value, "write the name of an Android package, such as `org.example.app`"),
            _ => {}
        }
    }
    for name in parameters.keys().filter(|name| !known.contains(&name.as_str())) {
        faults.push((format!("`{name}` is not a parameter of this question type"), format!("use {}", known.join(", "))));
    }
    let located = ["location-priority", "location-min-interval", "location-max-age"];
    let present = located.iter().filter(|name| parameters.contains_key(**name)).count();
    if of == "audit" && present > 0 && present < located.len() {
        faults.push(("the audit's location needs all of its parameters".to_owned(), format!("write {}", located.join(", "))));
    }
    let seconds = |name: &str| parameters.get(name).and_then(|value| value.parse::<i64>().ok());
    if let (Some(age), Some(interval)) = (seconds("location-max-age"), seconds("location-min-interval"))
        && age < interval
    {
        faults.push((
            "`location-max-age` is smaller than `location-min-interval`".to_owned(),
            "write an age that is not smaller than the interval".to_owned(),
        ));
    }
    faults
}

/// `org.example.app`: at least two segments, none beginning with a digit.
fn is_package(name: &str) -> bool {
    let mut segments = name.split('.');
    let is_segment = |segment: &str| {
        segment.starts_with(|first: char| first.is_ascii_alphabetic())
            && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    name.contains('.') && segments.all(is_segment)
}

const APPEARANCES: [&str; 78] = [
    "multiline",
    "numbers",
    "url",
    "masked",
    "thousands-sep",
    "bearing",
    "vertical",
    "no-ticks",
    "picker",
    "rating",
    "new",
    "new-front",
    "new-rear",
    "draw",
    "annotate",
    "signature",
    "selfie",
    "no-calendar",
    "month-year",
    "year",
    "ethiopian",
    "coptic",
    "islamic",
    "bikram-sambat",
    "myanmar",
    "persian",
    "buddhist",
    "hebrew",
    "placement-map",
    "maps",
    "hide-input",
    "minimal",
    "search",
    "autocomplete",
    "quick",
    "quickcompact",
    "columns-pack",
    "columns",
    "columns-flex",
    "no-buttons",
    "image-map",
    "likert",
    "map",
    "field-list",
    "label",
    "list-nolabel",
    "list",
    "table-list",
    "hide-existing",
    "compact",
    "horizontal",
    "horizontal-compact",
    "front",
    "counter",
    "streetview",
    "distress",
    "ex",
    "text",
    "printer",
    "zip",
    "summary",
    "w1",
    "w2",
    "w3",
    "w4",
    "w5",
    "w6",
    "w7",
    "w8",
    "w9",
    "w10",
    "or-1",
    "or-2",
    "intent",
    "dict",
    "bar",
    "group",
    "repeat",
];

/// A word that some ODK client knows in the column `appearance`.
pub fn is_appearance(word: &str) -> bool {
    APPEARANCES.contains(&word)
        || word.starts_with("columns-")
        || word.starts_with("compact-")
        || word.starts_with("quickcompact-")
        || word.contains(['(', ')', '\'', '$', ',', ':', '='])
        || word.contains('.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn parameters_are_pairs() {
        for text in ["start=1 end=5 step=0.5", "start = 1, end= 5, step =0.5", "start=1;end=5;step=0.5"] {
            let parameters = parse(text).unwrap();
            assert_eq!(parameters["start"], "1");
            assert_eq!(parameters["end"], "5");
            assert_eq!(parameters["step"], "0.5");
        }
        assert_eq!(parse("seed=${Seed}").unwrap()["seed"], "${Seed}");
        assert_eq!(parse("value=personID label=Full").unwrap()["value"], "personID");
        assert!(parse("randomize").is_err());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn parameters_have_values_that_suit_them() {
        let told = |of: &str, text: &str| faults(of, &parse(text).unwrap()).len();
        for (of, text) in [
            ("range", "start=1 end=5 step=1"),
            ("image", "max-pixels=640 app=org.example.app"),
            ("audio", "quality=external"),
            ("audit", "location-priority=balanced location-min-interval=60 location-max-age=120"),
            ("select", "randomize=true seed=${n}"),
            ("note", "anything=1"),
        ] {
            assert_eq!(told(of, text), 0, "{of} {text}");
        }
        for (of, text) in [
            ("range", "begin=1"),
            ("image", "max-pixels=x"),
            ("image", "app=org.1app"),
            ("background-audio", "quality=external"),
            ("geotrace", "incremental=false"),
            ("audit", "location-priority=balanced"),
            ("audit", "location-priority=balanced location-min-interval=60 location-max-age=12"),
            ("select", "randomize=true seed=abc"),
            ("text", "rows=many"),
        ] {
            assert_eq!(told(of, text), 1, "{of} {text}");
        }
    }
}
