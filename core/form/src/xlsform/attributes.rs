//! What a row of the survey sheet says beside expressions and words: appearance, parameters, and the columns `bind::`,
//! `body::` and `instance::`.

use super::columns::Row;
use super::parameters;
use super::survey::Reader;
use crate::model::{DataType, MergeRule, NodeId};

/// What an answer can say of a person (`bind::karwan:identity`).
const IDENTITIES: [&str; 8] = ["given_name", "surname", "father_name", "birth_year", "birth_date", "document", "phone", "sex"];

impl Reader<'_> {
    /// What a row says beside expressions and words: appearance, parameters, binds.
    pub fn finish(&mut self, row: &Row, id: NodeId) {
        let appearance = self.cell(row, "appearance");
        let mut parameters = self.parameters(row);
        for key in ["autoplay", "rows", "intent"] {
            let value = self.cell(row, key);
            if !value.is_empty() {
                parameters.insert(key.to_owned(), value);
            }
        }
        for (name, value) in self.sheet.with_prefix(row, "body::") {
            parameters.insert(name.to_owned(), value.to_owned());
        }
        if let Some(word) = appearance.split_whitespace().find(|word| !parameters::is_appearance(word)) {
            let message = format!("the appearance `{word}` is not known and is ignored");
            self.warn(row, "appearance", &message);
        }
        self.control(id, |control| {
            control.appearance = appearance;
            control.parameters.extend(parameters);
        });
        let mut extra: Vec<(String, String)> = Vec::new();
        extra.extend(
            self.sheet
                .with_prefix(row, "instance::")
                .into_iter()
                .map(|(name, value)| (format!("instance::{name}"), value.to_owned())),
        );
        let binds: Vec<(String, String)> =
            self.sheet.with_prefix(row, "bind::").into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, value) in binds {
            match name.as_str() {
                "karwan:merge" => self.merge(row, id, &value),
                "karwan:identity" => {
                    if IDENTITIES.contains(&value.as_str()) {
                        self.bind(id, |bind| bind.identity = Some(value));
                    } else {
                        self.fault(
                            row,
                            "bind::karwan:identity",
                            format!("`{value}` is not a part of an identity"),
                            format!("use one of {}", IDENTITIES.join(", ")),
                        );
                    }
                }
                "type" => match data_type(&value) {
                    Some(data_type) => {
                        let select = self.draft.pending.get(id).is_some_and(|pending| pending.list.is_some());
                        if !select {
                            self.bind(id, |bind| bind.data_type = data_type);
                        }
                    }
                    None => self.fault(
                        row,
                        "bind::type",
                        format!("`{value}` is not a data type"),
                        "use one of string, int, decimal, date, time, dateTime, boolean",
                    ),
                },
                "jr:preload" | "jr:preloadParams" => {
                    // `property` and `deviceid`, `timestamp` and `start`: the parameter says which.
                    let both = self.sheet.text(row, "bind::jr:preloadParams");
                    let preload = if both.is_empty() { self.sheet.text(row, "bind::jr:preload") } else { both };
                    let preload = preload.to_owned();
                    self.bind(id, |bind| bind.preload = Some(preload));
                }
                _ => extra.push((format!("bind::{name}"), value)),
            }
        }
        self.bind(id, |bind| bind.extra.extend(extra));
    }

    fn merge(&mut self, row: &Row, id: NodeId, value: &str) {
        let rule = match value {
            "review" => MergeRule::Review,
            "union" => MergeRule::Union,
            "events" => MergeRule::Events,
            _ => {
                self.fault(
                    row,
                    "bind::karwan:merge",
                    format!("`{value}` is not a merge rule"),
                    "use `review`, `union` or `events`",
                );
                return;
            }
        };
        let several = self.draft.nodes.get(id).is_some_and(|node| node.bind.data_type == DataType::SelectMultiple);
        if rule == MergeRule::Union && !several {
            self.fault(
                row,
                "bind::karwan:merge",
                "only a `select_multiple` can be merged as a union",
                "use `review` or `events`",
            );
            return;
        }
        self.bind(id, |bind| bind.merge = rule);
    }

    /// Bounds and step of a range, with their defaults.
    pub fn range(&mut self, row: &Row, id: NodeId) {
        let Some(control) = self.draft.nodes.get(id).and_then(|node| node.control.clone()) else { return };
        let mut numbers = Vec::new();
        let mut filled = control.parameters;
        for (key, default) in [("start", "1"), ("end", "10"), ("step", "1")] {
            let text = filled.entry(key.to_owned()).or_insert_with(|| default.to_owned()).clone();
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => numbers.push(number),
                _ => self.fault(row, "parameters", format!("`{key}` of the range is `{text}`, not a number"), "write a number"),
            }
        }
        if let [start, end, step] = numbers.as_slice() {
            if *step == 0.0 {
                self.fault(row, "parameters", "the range's step is 0", "write a step above 0");
            } else if *step > (end - start).abs() {
                self.fault(row, "parameters", "the range's step is larger than the range", "write a smaller step");
            }
        }
        if numbers.iter().any(|number| number.fract() != 0.0) {
            self.bind(id, |bind| bind.data_type = DataType::Decimal);
        }
        self.control(id, |control| control.parameters = filled);
    }

    /// A photo's default is a file of the form's media.
    pub fn photo_default(&mut self, id: NodeId) {
        if let Some(pending) = self.draft.pending.get_mut(id)
            && !pending.default.is_empty()
            && !pending.default.contains("://")
            && !pending.default.contains(['$', '('])
        {
            pending.default = format!("jr://images/{}", pending.default);
        }
    }
}

fn data_type(name: &str) -> Option<DataType> {
    Some(match name.strip_prefix("xsd:").unwrap_or(name) {
        "string" => DataType::String,
        "int" | "integer" => DataType::Int,
        "decimal" => DataType::Decimal,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "dateTime" | "datetime" => DataType::DateTime,
        "geopoint" => DataType::GeoPoint,
        "geotrace" => DataType::GeoTrace,
        "geoshape" => DataType::GeoShape,
        "binary" => DataType::Binary,
        "barcode" => DataType::Barcode,
        "intent" => DataType::Intent,
        _ => return None,
    })
}
