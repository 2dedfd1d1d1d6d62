//! What the reader makes of XForms, and that a form that is written reads as it was.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;

use karwan_form::interview::{Context, Interview};
use karwan_form::model::{ControlKind, DataType, Form, InstanceSource, Node, NodeKind};
use karwan_form::{xform, xlsform};

/// An XForm around a model and a body.
fn form_of(instance: &str, model: &str, body: &str) -> String {
    format!(
        "<?xml version='1.0'?>\n<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' \
         xmlns:jr='http://openrosa.org/javarosa' xmlns:orx='http://openrosa.org/xforms' \
         xmlns:odk='http://www.opendatakit.org/xforms' xmlns:entities='http://www.opendatakit.org/xforms/entities'>\
         <h:head><h:title>Made</h:title><model>\n<instance>{instance}</instance>\n{model}\n</model></h:head>\n\
         <h:body>\n{body}\n</h:body></h:html>"
    )
}

fn read(xml: &str) -> Form {
    xform::read(xml.as_bytes(), "made.xml").unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn node<'form>(form: &'form Form, path: &str) -> &'form Node {
    &form.nodes[*form.by_path.get(path).unwrap_or_else(|| panic!("no {path}"))]
}

fn interview(form: Form) -> Interview {
    Interview::start(Arc::new(form), Context::at(1_795_428_000_000, [1; 32])).unwrap()
}

fn value(interview: &Interview, place: &str) -> String {
    interview.node(place).unwrap_or_else(|| panic!("no {place}")).value.unwrap_or_default()
}

#[test]
fn questions_binds_and_words_are_read() {
    let form = read(&form_of(
        "<data id='made' version='7'><age/><why/><about>Old</about><meta><instanceID/></meta></data>",
        "<itext><translation lang='en'><text id='age'><value>Age of <output value='/data/about'/></value>\
         <value form='image'>jr://images/age.png</value></text></translation>\
         <translation lang='fa' default='true()'><text id='age'><value>سن</value></text></translation></itext>\
         <bind nodeset='/data/age' type='int' constraint='. &lt; 120' jr:constraintMsg='Too old' required='true()'/>\
         <bind nodeset='/data/why' type='string' relevant='/data/age &gt; 60'/>\
         <bind nodeset='/data/meta/instanceID' type='string' readonly='true()' jr:preload='uid'/>",
        "<input ref='/data/age' appearance='counter'><label ref=\"jr:itext('age')\"/></input>\
         <input ref='/data/why'><label>Why?</label><hint>In short</hint></input>",
    ));
    assert_eq!((form.id.as_str(), form.version.as_str(), form.title.as_str()), ("made", "7", "Made"));
    assert_eq!(form.languages, ["en", "fa"]);
    assert_eq!(form.default_language, 1);
    let age = node(&form, "/data/age");
    assert_eq!(age.bind.data_type, DataType::Int);
    assert_eq!(age.control.as_ref().unwrap().appearance, "counter");
    assert!(age.control.as_ref().unwrap().media.contains_key("image"));
    assert_eq!(node(&form, "/data/about").default, "Old");

    let mut interview = interview(form);
    assert_eq!(interview.node("/data/age").unwrap().label.as_deref(), Some("سن"));
    interview.set_language("en").unwrap();
    assert_eq!(interview.node("/data/age").unwrap().label.as_deref(), Some("Age of Old"));
    assert!(!interview.node("/data/why").unwrap().relevant);
    interview.set("/data/age", "130").unwrap();
    assert_eq!(interview.node("/data/age").unwrap().message.as_deref(), Some("Too old"));
    assert!(interview.node("/data/why").unwrap().relevant);
    assert!(value(&interview, "/data/meta/instanceID").starts_with("uuid:"));
}

/// What ODK's engine (`@getodk/xforms-engine`) answers: a decimal has its fraction also inside expressions, an integer has none.
#[test]
fn a_decimal_is_text_with_its_fraction_and_a_number_all_the_same() {
    let form = read(&form_of(
        "<data id='made'><weight/><count/><told/><same/><as_text/></data>",
        "<bind nodeset='/data/weight' type='decimal'/><bind nodeset='/data/count' type='int'/>\
         <bind nodeset='/data/told' type='string' calculate=\"concat(/data/weight, ' and ', /data/count)\"/>\
         <bind nodeset='/data/same' type='string' calculate='/data/weight = 7'/>\
         <bind nodeset='/data/as_text' type='string' calculate='string(/data/weight)'/>",
        "<input ref='/data/weight'><label>W</label></input><input ref='/data/count'><label>C</label></input>",
    ));
    let mut interview = interview(form);
    assert_eq!(value(&interview, "/data/told"), " and ");
    interview.set("/data/weight", "7").unwrap();
    interview.set("/data/count", "7").unwrap();
    assert_eq!(value(&interview, "/data/told"), "7.0 and 7");
    assert_eq!(value(&interview, "/data/as_text"), "7.0");
    assert_eq!(value(&interview, "/data/same"), "true");
}

#[test]
fn choices_come_from_items_lists_and_repeats() {
    let form = read(&form_of(
        "<data id='made'><one/><town/><who><name/></who><chief/></data>",
        "<instance id='towns'><root><item size='2'><name>a</name><label>Alpha</label></item>\
         <item size='9'><name>b</name><label>Beta</label></item></root></instance>",
        "<select1 ref='/data/one'><item><label>Yes</label><value>y</value></item><item><label>No</label><value>n</value></item></select1>\
         <select ref='/data/town'><itemset nodeset=\"instance('towns')/root/item[@size &gt; 5]\"><value ref='name'/>\
         <label ref='label'/></itemset></select>\
         <group ref='/data/who'><label>Person</label><repeat nodeset='/data/who'><input ref='/data/who/name'><label>Name</label>\
         </input></repeat></group>\
         <select1 ref='/data/chief'><itemset nodeset=\"/data/who[./name != '']\"><value ref='name'/><label ref='name'/></itemset></select1>",
    ));
    assert_eq!(node(&form, "/data/town").bind.data_type, DataType::SelectMultiple);
    let mut interview = interview(form);
    let choices = |interview: &Interview, place: &str| -> Vec<(String, String)> {
        let choices = interview.node(place).unwrap().choices.unwrap();
        choices.into_iter().map(|choice| (choice.value, choice.label)).collect()
    };
    let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    assert_eq!(choices(&interview, "/data/one"), [pair("y", "Yes"), pair("n", "No")]);
    assert_eq!(choices(&interview, "/data/town"), [pair("b", "Beta")]);
    assert_eq!(choices(&interview, "/data/chief"), []);
    interview.set("/data/who[1]/name", "Mina").unwrap();
    assert_eq!(choices(&interview, "/data/chief"), [pair("Mina", "Mina")]);
}

#[test]
fn repeats_begin_with_what_the_form_holds() {
    let form = read(&form_of(
        "<data id='made'><n/><house jr:template=''><door>red</door><room jr:template=''><size/></room></house>\
         <house><door>blue</door><room><size>4</size></room><room><size>6</size></room></house>\
         <empty jr:template=''><x/></empty><sum/></data>",
        "<bind nodeset='/data/house/room/size' type='int'/><bind nodeset='/data/sum' type='int' calculate='sum(/data/house/room/size)'/>",
        "<repeat nodeset='/data/house'><input ref='/data/house/door'/><repeat nodeset='/data/house/room'>\
         <input ref='/data/house/room/size'/></repeat></repeat><repeat nodeset='/data/empty'><input ref='/data/empty/x'/></repeat>",
    ));
    assert_eq!(node(&form, "/data/house").kind, NodeKind::Repeat { count: None });
    let mut interview = interview(form);
    assert_eq!(value(&interview, "/data/house[1]/door"), "blue");
    assert_eq!(value(&interview, "/data/sum"), "10");
    assert!(!interview.has("/data/empty[1]"));
    interview.add("/data/house").unwrap();
    assert_eq!(value(&interview, "/data/house[2]/door"), "red");
    assert!(!interview.has("/data/house[2]/room[1]"));
}

#[test]
fn actions_counts_and_entities_are_read() {
    let form = read(&form_of(
        "<data id='made'><n>2</n><row jr:template=''><k/></row><seen/><stamp/><p/><meta><instanceID/>\
         <entity dataset='people' id='' create='1'><label/></entity></meta></data>",
        "<bind nodeset='/data/n' type='int'/><bind nodeset='/data/row/k' calculate='position(..)'/>\
         <bind nodeset='/data/p' entities:saveto='given'/><bind nodeset='/data/meta/entity/@id' type='string' readonly='true()'/>\
         <bind nodeset='/data/meta/entity/label' calculate='/data/p' type='string'/>\
         <setvalue ref='/data/meta/entity/@id' event='odk-instance-first-load' value='uuid()'/>\
         <setvalue ref='/data/stamp' event='odk-instance-first-load' value='1 + 1'/>",
        "<input ref='/data/n'><label>n</label><setvalue event='xforms-value-changed' ref='/data/seen' value='/data/n * 10'/></input>\
         <repeat nodeset='/data/row' jr:count='/data/n'><input ref='/data/row/k'><label>k</label></input></repeat>\
         <input ref='/data/p'><label>p</label></input>",
    ));
    assert_eq!(form.entities[0].list, "people");
    let mut interview = interview(form);
    assert_eq!(value(&interview, "/data/stamp"), "2");
    assert_eq!(value(&interview, "/data/row[2]/k"), "2");
    interview.set("/data/n", "3").unwrap();
    assert_eq!(value(&interview, "/data/seen"), "30");
    assert!(interview.has("/data/row[3]"));
    interview.set("/data/p", "Mina").unwrap();
    let writes = interview.entity_writes();
    assert_eq!(writes[0].label.as_deref(), Some("Mina"));
    assert_eq!(writes[0].properties["given"], "Mina");
}

#[test]
fn every_fault_names_its_element_and_line() {
    let xml = form_of(
        "<data id='made'><a/><a/><b/></data>",
        "<bind nodeset='/data/nothing'/>\n<bind nodeset='/data/b' relevant='1 +' calculate=\"frob()\"/>\n\
         <bind nodeset='/data/a' relevant=\"instance('none')/root/item = 1\"/>",
        "<input ref='/data/c'/>\n<select1 ref='/data/b'><label ref=\"jr:itext('x')\"/></select1>",
    );
    let lines: Vec<String> = xform::read(xml.as_bytes(), "made.xml").unwrap_err().iter().map(ToString::to_string).collect();
    for (number, expected) in [
        "line 3, <a>: `/data/a` is here twice and no repeat",
        "line 4, <bind nodeset>: `/data/nothing` leads to nothing in the primary instance",
        "line 5, <bind relevant>: at character 3: expected a value, a path or a function, found the end",
        "line 5, <bind calculate>: at character 0: expected a function of the ODK XForms specification, found `frob`",
        "line 9, <input ref>: `/data/c` leads to nothing in the primary instance",
        "line 10, <label ref>: `itext` has no text `x`",
        "line 10, <select1>: the select has neither an itemset nor items",
        "line 6, <bind relevant>: `instance('none')` names no instance of this form",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(lines[number].starts_with(expected), "{expected}\n{}", lines.join("\n"));
    }
}

fn shared_forms() -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let forms = std::env::var_os("KARWAN_SHARED").map_or_else(beside, PathBuf::from).join("forms");
    if !forms.is_dir() {
        println!("skipped: no forms at {}", forms.display());
        return None;
    }
    Some(forms)
}

/// What matters of a node, for comparing two readings.
fn gist(form: &Form) -> Vec<String> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = Vec::new();
    for node in &form.nodes {
        let bind = &node.bind;
        let source = |expression: &Option<karwan_form::xpath::Expression>| {
            expression.as_ref().map(|expression| words(&expression.source)).unwrap_or_default()
        };
        let control = node.control.as_ref();
        let kind = control.map(|control| control.kind).filter(|kind| !matches!(kind, ControlKind::Group | ControlKind::Repeat));
        let nodeset = control.and_then(|control| control.itemset.as_ref()).map(|itemset| words(&itemset.nodeset.source));
        lines.push(format!(
            "{} {:?} {:?} [{}] [{}] [{}] [{}] {:?} {:?} {:?} {} {:?} {:?} {:?}",
            node.path,
            bind.data_type,
            kind,
            source(&bind.relevant),
            source(&bind.constraint),
            source(&bind.required),
            source(&bind.calculate),
            nodeset,
            bind.preload,
            bind.save_to,
            node.default,
            bind.merge,
            control
                .and_then(|control| control.label.as_ref())
                .map(|label| format!("{label:?}").replace("\" ", "\"").replace(" \"", "\"")),
            node.actions.len(),
        ));
    }
    lines.sort();
    lines
}

#[test]
fn a_written_form_reads_as_it_was() {
    let Some(forms) = shared_forms() else { return };
    for name in ["orientation_session", "return_registration", "rapid_needs", "health_assessment", "expert_profile"] {
        let bytes = std::fs::read(forms.join(name).join(format!("{name}.xlsx"))).unwrap();
        let form = xlsform::read(&bytes, name).unwrap();
        let again = read(&xform::write(&form));
        // What is written has a place for entities beside what the workbook says.
        let known = |line: &String| line.split(' ').next().is_some_and(|path| form.by_path.contains_key(path));
        let again_gist: Vec<String> = gist(&again).into_iter().filter(known).collect();
        for (left, right) in gist(&form).iter().zip(&again_gist) {
            assert_eq!(left, right, "{name}");
        }
        assert_eq!(form.entities.len(), again.entities.len());
        for (id, instance) in &form.instances {
            if let InstanceSource::Internal(table) = &instance.source {
                let InstanceSource::Internal(other) = &again.instances[id].source else { panic!("{id}") };
                let name =
                    |table: &karwan_form::model::Table, row: usize| table.cell(row, table.column("name").unwrap()).to_owned();
                assert_eq!(table.rows.len(), other.rows.len(), "{id}");
                assert!((0..table.rows.len()).all(|row| name(table, row) == name(other, row)), "{id}");
            }
        }
    }
}
