//! Reads real workbooks, where they are at hand, and compares the model with what pyxform made of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use karwan_form::model::{Form, InstanceSource, NodeKind};
use karwan_form::xlsform;
use karwan_form::xpath::Expression;
use quick_xml::events::Event;

/// The folder with forms that are not part of the project, if there is one.
fn shared_forms() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let forms = std::env::var_os("KARWAN_SHARED").map_or_else(beside, PathBuf::from).join("forms");
    if forms.is_dir() {
        return Some(forms);
    }
    println!("skipped: no forms at {}", forms.display());
    None
}

/// Attributes of all elements of a name, in order.
fn elements(xml: &str, name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return found,
            Event::Empty(element) | Event::Start(element) if element.name().as_ref() == name.as_bytes() => {
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    (key, attribute.unescape_value().unwrap().into_owned())
                });
                found.push(attributes.collect());
            }
            _ => {}
        }
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn source(expression: Option<&Expression>) -> String {
    expression.map(|expression| words(&expression.source)).unwrap_or_default()
}

fn read(name: &str) -> Option<(Form, String)> {
    let folder = shared_forms()?.join(name);
    let bytes = std::fs::read(folder.join(format!("{name}.xlsx"))).unwrap();
    let form = xlsform::read(&bytes, &format!("{name}.xlsx"))
        .unwrap_or_else(|faults| panic!("{name}:\n{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
    for warning in &form.warnings {
        println!("{name}: {warning}");
    }
    Some((form, std::fs::read_to_string(folder.join(format!("{name}.xml"))).unwrap()))
}

/// The model says what pyxform's XForm says.
fn same_as_pyxform(name: &str) {
    let Some((form, xml)) = read(name) else { return };
    let binds: BTreeMap<String, BTreeMap<String, String>> =
        elements(&xml, "bind").into_iter().map(|bind| (bind["nodeset"].clone(), bind)).collect();
    for (path, bind) in &binds {
        if path.contains("/meta/entity") {
            continue;
        }
        let id = *form.by_path.get(path).unwrap_or_else(|| panic!("{name}: {path} is missing"));
        let node = &form.nodes[id];
        let expected = |key: &str| bind.get(key).map(|text| words(text)).unwrap_or_default();
        assert_eq!(source(node.bind.relevant.as_ref()), expected("relevant"), "{path} relevant");
        assert_eq!(source(node.bind.constraint.as_ref()), expected("constraint"), "{path} constraint");
        assert_eq!(source(node.bind.required.as_ref()), expected("required"), "{path} required");
        assert_eq!(source(node.bind.readonly.as_ref()), expected("readonly"), "{path} readonly");
        assert_eq!(source(node.bind.calculate.as_ref()), expected("calculate"), "{path} calculate");
        let saved = node.bind.save_to.as_ref().map(|(_, property)| property.clone()).unwrap_or_default();
        assert_eq!(saved, expected("entities:saveto"), "{path} saveto");
        assert_eq!(node.bind.constraint_message.is_some(), bind.contains_key("jr:constraintMsg"), "{path} constraint message");
        assert_eq!(node.bind.required_message.is_some(), bind.contains_key("jr:requiredMsg"), "{path} required message");
    }
    for node in form.nodes.iter().filter(|node| node.kind == NodeKind::Value) {
        assert!(binds.contains_key(&node.path), "{name}: pyxform has no {}", node.path);
    }
    let itemsets: Vec<String> = form
        .nodes
        .iter()
        .filter_map(|node| node.control.as_ref()?.itemset.as_ref())
        .map(|itemset| words(&itemset.nodeset.source))
        .collect();
    let expected: Vec<String> = elements(&xml, "itemset").iter().map(|itemset| words(&itemset["nodeset"])).collect();
    assert_eq!(itemsets, expected, "{name}: itemsets");
    let counts: Vec<String> = form
        .nodes
        .iter()
        .filter_map(|node| match &node.kind {
            NodeKind::Repeat { count } => Some(format!("{} {}", node.path, source(count.as_ref()))),
            _ => None,
        })
        .collect();
    let expected: Vec<String> = elements(&xml, "repeat")
        .iter()
        .map(|repeat| format!("{} {}", repeat["nodeset"], repeat.get("jr:count").map(|count| words(count)).unwrap_or_default()))
        .collect();
    assert_eq!(counts, expected, "{name}: repeats");
    for entity in &form.entities {
        let scope = &form.nodes[entity.scope].path;
        let at = |leaf: &str| {
            let bind = binds.get(&format!("{scope}/meta/entity/{leaf}"));
            bind.and_then(|bind| bind.get("calculate")).map(|text| words(text)).unwrap_or_default()
        };
        assert_eq!(source(entity.label.as_ref()), at("label"), "{scope}");
        assert_eq!(source(entity.entity_id.as_ref()), at("@id"), "{scope}");
        assert_eq!(source(entity.create_if.as_ref()), at("@create"), "{scope}");
        assert_eq!(source(entity.update_if.as_ref()), at("@update"), "{scope}");
    }
    for instance in form.instances.values() {
        if let InstanceSource::External { file } = &instance.source {
            assert!(xml.contains(&format!("jr://file-csv/{file}")), "{name}: {file}");
        }
    }
    assert_eq!(form.languages, ["English (en)", "فارسی (fa)"], "{name}");
    assert_eq!(form.languages[form.default_language], "فارسی (fa)", "{name}");
}

#[test]
fn orientation_session_reads_as_pyxform_reads_it() {
    same_as_pyxform("orientation_session");
}

#[test]
fn return_registration_reads_as_pyxform_reads_it() {
    same_as_pyxform("return_registration");
}

#[test]
fn rapid_needs_reads_as_pyxform_reads_it() {
    same_as_pyxform("rapid_needs");
}

#[test]
fn health_assessment_reads_as_pyxform_reads_it() {
    same_as_pyxform("health_assessment");
}

#[test]
fn expert_profile_reads_as_pyxform_reads_it() {
    same_as_pyxform("expert_profile");
}
