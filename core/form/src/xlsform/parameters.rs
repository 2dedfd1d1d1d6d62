//! The columns `parameters` and `appearance`.

use std::collections::BTreeMap;

/// Reads `start=1 end=5; step = 0.5`: pairs separated by spaces, commas or semicolons.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut parameters = BTreeMap::new();
    if text.trim().is_empty() {
        return Ok(parameters);
    }
    let separator = if text.contains(';') {
        ';'
    } else if text.contains(',') {
        ','
    } else {
        ' '
    };
    // Spaces around `=` are no separators.
    let mut joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while joined.contains(" =") || joined.contains("= ") {
        joined = joined.replace(" =", "=").replace("= ", "=");
    }
    for pair in joined.split(separator).map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else { return Err(format!("`{pair}` is no parameter")) };
        let name = name.trim().to_lowercase();
        // Names of columns keep their spelling.
        let value = if matches!(name.as_str(), "label" | "value" | "seed" | "app") {
            value.trim().to_owned()
        } else {
            value.trim().to_lowercase()
        };
        if name.is_empty() || value.is_empty() {
            return Err(format!("`{pair}` is no parameter"));
        }
        parameters.insert(name, value);
    }
    Ok(parameters)
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
}
