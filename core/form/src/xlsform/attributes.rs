//! What a row of the survey sheet says beside expressions and words: appearance, parameters, and the columns `bind::`,
//! `body::` and `instance::`.

use super::columns::Row;
use super::parameters;
use super::survey::Reader;
use crate::model::{DataType, MergeRule, NodeId, NodeKind};

/// What an answer can say of a person (`bind::karwan:identity`).
const IDENTITIES: [&str; 8] = ["given_name", "surname", "father_name", "birth_year", "birth_date", "document", "phone", "sex"];

impl Reader<'_> {
    /// What a row says beside expressions and words: appearance, binds, and parameters where its type takes any.
    pub fn finish(&mut self, row: &Row, id: NodeId, takes_parameters: bool) {
        let appearance = self.cell(row, "appearance");
        let mut parameters = self.parameters(row);
        if !takes_parameters && !parameters.is_empty() {
            self.warn(row, "parameters", "this type takes no parameters, and they are ignored");
            parameters.clear();
        }
        for key in ["autoplay", "rows", "intent"] {
            let value = self.cell(row, key);
            // An app is opened from a group, or from a question by its appearance.
            let is_group = self.draft.nodes.get(id).is_some_and(|node| node.kind != NodeKind::Value);
            if !value.is_empty() && (key != "intent" || is_group) {
                parameters.insert(key.to_owned(), value);
            }
        }
        for (name, value) in self.sheet.with_prefix(row, "body::") {
            parameters.insert(format!("body::{name}"), value.to_owned());
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
                "type" => {
                    let select = self.draft.pending.get(id).is_some_and(|pending| pending.list.is_some());
                    if self.draft.nodes.get(id).is_some_and(|node| node.kind != NodeKind::Value) {
                        extra.push(("bind::type".to_owned(), value));
                        continue;
                    }
                    if let Some(data_type) = data_type(&value).filter(|_| !select) {
                        self.bind(id, |bind| bind.data_type = data_type);
                    } else if data_type(&value).is_none() {
                        let message =
                            format!("the data type `{value}` is not known, and answers are kept as the question type has them");
                        self.warn(row, "bind::type", &message);
                        extra.push(("bind::type".to_owned(), value));
                    }
                }
                "jr:preload" | "jr:preloadParams" => {
                    // `property` and `deviceid`, `timestamp` and `start`: the parameter says which.
                    let both = self.sheet.text(row, "bind::jr:preloadParams");
                    let preload = if both.is_empty() { self.sheet.text(row, "bind::jr:preload") } else { both };
                    let preload = preload.to_owned();
                    // A word beside which the type has one of its own keeps that as its parameter.
                    let own = self.draft.nodes.get(id).and_then(|node| node.bind.preload.clone());
                    if let Some(own) = own.filter(|own| name == "jr:preload" && both.is_empty() && *own != preload) {
                        extra.push(("bind::jr:preloadParams".to_owned(), own));
                    }
                    self.bind(id, |bind| bind.preload = Some(preload));
                    extra.push((format!("bind::{name}"), value));
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
