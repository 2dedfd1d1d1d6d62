//! Binds: the type of each answer and the logic around it; and the actions that write answers.

use super::document::Element;
use super::reader::Reader;
use crate::model::{Action, ActionValue, DataType, MergeRule, NodeId};
use crate::xpath::Expression;

/// Attributes that the model has a place for, or that say nothing to it.
const KNOWN: [&str; 17] = [
    "id",
    "nodeset",
    "ref",
    "type",
    "relevant",
    "constraint",
    "jr:constraintMsg",
    "required",
    "jr:requiredMsg",
    "readonly",
    "calculate",
    "jr:preload",
    "jr:preloadParams",
    "entities:saveto",
    "karwan:merge",
    "karwan:identity",
    "saveIncomplete",
];

impl Reader {
    pub(super) fn bind(&mut self, bind: &Element) {
        let Some(nodeset) = bind.attribute("nodeset").or_else(|| bind.attribute("ref")) else {
            self.fault(bind, "nodeset", "the bind names no node", "write the path of a node of the primary instance");
            return;
        };
        if nodeset.contains("/@") {
            self.entity_bind(bind, nodeset);
            return;
        }
        if nodeset.contains("/meta/entity/") {
            self.entity_bind(bind, nodeset);
            return;
        }
        let Some(id) = self.referred(bind, "") else { return };
        let relevant = self.expression(bind, "relevant");
        let constraint = self.expression(bind, "constraint");
        let constraint_message = self.text_at(bind, "jr:constraintMsg");
        let required = self.expression(bind, "required");
        let required_message = self.text_at(bind, "jr:requiredMsg");
        let readonly = self.expression(bind, "readonly");
        let calculate = self.expression(bind, "calculate");
        let data_type = bind.attribute("type").map_or(DataType::String, |name| {
            data_type(name).unwrap_or_else(|| {
                self.warn(bind, &format!("the type `{name}` is not known and is read as text"));
                DataType::String
            })
        });
        let merge = match bind.attribute("karwan:merge") {
            Some("events") => MergeRule::Events,
            Some("union") => MergeRule::Union,
            _ => MergeRule::Review,
        };
        let saveto = bind.attribute("entities:saveto").map(str::to_owned);
        let extra = bind
            .attributes
            .iter()
            .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
            .map(|(name, value)| (format!("bind::{name}"), value.clone()));
        let Some(node) = self.nodes.get_mut(id) else { return };
        let own = &mut node.bind;
        own.extra.extend(extra);
        own.data_type = data_type;
        own.relevant = relevant;
        own.constraint = constraint;
        own.constraint_message = constraint_message;
        own.required = required;
        own.required_message = required_message;
        own.readonly = readonly;
        own.calculate = calculate;
        own.merge = merge;
        own.preload = preload(bind);
        own.identity = bind.attribute("karwan:identity").map(str::to_owned);
        if let Some(property) = saveto {
            self.saved(id, &property);
        }
    }

    /// `setvalue` and its kin directly in an element; `around` is the question or repeat that they stand in.
    pub(super) fn actions(&mut self, element: &Element, around: Option<NodeId>) {
        for action in element.children() {
            let kind = action.local();
            if !matches!(kind, "setvalue" | "setgeopoint" | "recordaudio") {
                continue;
            }
            let target = action.attribute("ref").unwrap_or_default();
            if target.contains("/@") {
                // An entity's id: the model makes its own.
                continue;
            }
            let container = around.and_then(|id| self.nodes.get(id)).map(|node| node.path.clone()).unwrap_or_default();
            let Some(id) = self.referred(action, &container) else { continue };
            let events: Vec<String> = action
                .attribute("event")
                .or_else(|| action.attribute("ev:event"))
                .unwrap_or_default()
                .split_whitespace()
                .map(plain_event)
                .collect();
            for event in &events {
                let known = ["odk-instance-first-load", "odk-instance-load", "odk-new-repeat", "xforms-value-changed"];
                if !known.contains(&event.as_str()) {
                    self.fault(
                        action,
                        "event",
                        format!("`{event}` is not an event of ODK's forms"),
                        format!("use one of {}", known.join(", ")),
                    );
                }
            }
            let value = match kind {
                "setgeopoint" => Some(ActionValue::GeoPoint),
                "recordaudio" => Some(ActionValue::RecordAudio(action.attribute("odk:quality").unwrap_or("normal").to_owned())),
                _ if action.has("value") => match action.attribute("value") {
                    Some(_) => self.expression(action, "value").map(ActionValue::Expression),
                    None => Some(ActionValue::Literal(String::new())),
                },
                _ => Some(ActionValue::Literal(action.text())),
            };
            let changed = events.iter().any(|event| event == "xforms-value-changed");
            if let (Some(node), Some(value)) = (self.nodes.get_mut(id), value) {
                node.actions.push(Action { events, trigger: around.filter(|_| changed), value });
            }
        }
    }

    /// Captured values and types that follow from the whole form.
    pub(super) fn finish_binds(&mut self) {
        let internal = |id: &str| {
            let instance = self.instances.get(id);
            instance.is_some_and(|instance| matches!(instance.source, crate::model::InstanceSource::Internal(_)))
        };
        let captured: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| node.bind.calculate.as_ref().is_some_and(|own: &Expression| own.is_captured(internal)))
            .collect();
        for (node, captured) in self.nodes.iter_mut().zip(captured) {
            node.bind.captured = captured;
        }
    }
}

/// Old forms write `jr-insert` for a new instance and `xforms-ready` for the first load.
fn plain_event(event: &str) -> String {
    match event {
        "jr-insert" => "odk-new-repeat",
        "xforms-ready" => "odk-instance-first-load",
        other => other,
    }
    .to_owned()
}

fn preload(bind: &Element) -> Option<String> {
    let parameter = bind.attribute("jr:preloadParams").unwrap_or_default();
    match bind.attribute("jr:preload")? {
        "uid" => Some("uid".to_owned()),
        "date" if parameter.is_empty() => Some("today".to_owned()),
        kind => Some(if parameter.is_empty() { kind } else { parameter }.to_owned()),
    }
}

fn data_type(name: &str) -> Option<DataType> {
    Some(match name.rsplit(':').next().unwrap_or(name) {
        "string" | "select" | "select1" | "rank" => DataType::String,
        "int" | "integer" | "long" | "longint" => DataType::Int,
        "decimal" | "float" | "double" => DataType::Decimal,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "dateTime" => DataType::DateTime,
        "geopoint" => DataType::GeoPoint,
        "geotrace" => DataType::GeoTrace,
        "geoshape" => DataType::GeoShape,
        "binary" => DataType::Binary,
        "barcode" => DataType::Barcode,
        "intent" => DataType::Intent,
        _ => return None,
    })
}
