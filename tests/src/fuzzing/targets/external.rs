//! Files that a form reads beside itself: the first line names the file, the rest is its content.

use std::sync::Arc;

use karwan_form::external;
use karwan_form::interview::{Context, Interview, Lists};
use karwan_form::model::{Form, Table};
use karwan_form::xform;

use crate::corpus::Dice;
use crate::form_made;
use crate::fuzzing::marks::Marks;
use crate::fuzzing::target::Target;
use crate::fuzzing::words::EXTERNAL;
use crate::fuzzing::{exercise, mutation};

pub const TARGET: Target = Target { name: "external", about: "a CSV, XML or GeoJSON file that a form reads", seeds, mutate, run };

/// Rows whose cells are looked up.
const LOOKED_UP: usize = 20;

/// A form that chooses, filters and looks up in one file.
const FORM: &str = "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml'><h:head><h:title>t</h:title><model>\
    <instance><data id='d'><a>a</a><p/><s/><l/><n/></data></instance><instance id='list' src='jr://file-csv/list.csv'/>\
    <bind nodeset='/data/l' calculate=\"pulldata('list', 'label', 'name', /data/a)\"/>\
    <bind nodeset='/data/n' calculate=\"concat(count(instance('list')/root/item[name = /data/a]), sum(instance('list')/root/item/size), count(instance('list')//*))\"/>\
    </model></h:head><h:body><input ref='/data/a'/><select1 ref='/data/p'><itemset nodeset=\"instance('list')/root/item[name != /data/a]\">\
    <value ref='name'/><label ref='label'/></itemset></select1><select1 ref='/data/s'><itemset nodeset=\"instance('list')/root/item[geometry != '']\">\
    <value ref='id'/><label ref='title'/></itemset></select1></h:body></h:html>";

fn seeds() -> Vec<Vec<u8>> {
    form_made::media().into_iter().map(|(name, text)| format!("{name}\n{text}").into_bytes()).collect()
}

struct One(Arc<Table>);

impl Lists for One {
    fn table(&self, _: &str) -> Option<Arc<Table>> {
        Some(self.0.clone())
    }
}

fn form() -> Arc<Form> {
    static READ: std::sync::OnceLock<Arc<Form>> = std::sync::OnceLock::new();
    READ.get_or_init(|| Arc::new(xform::read(FORM.as_bytes(), "lists.xml").unwrap())).clone()
}

fn run(input: &[u8], marks: &mut Marks) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (name, content) = input.split_at(end);
    let name = String::from_utf8_lossy(name);
    let table = external::read(content.get(1..).unwrap_or_default(), &name);
    let ending = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    let ending = ["csv", "xml", "geojson"].into_iter().find(|known| *known == ending).unwrap_or("other");
    marks.note(ending);
    marks.count((ending, "columns"), table.columns.len());
    marks.count((ending, "rows"), table.rows.len());
    for (row, cells) in table.rows.iter().enumerate().take(LOOKED_UP) {
        for (column, cell) in cells.iter().enumerate().take(4) {
            marks.count((ending, column, cell.contains(['{', '"', '\n', ';'])), cell.len());
        }
        for (column, cell) in cells.iter().enumerate().take(table.columns.len()) {
            assert!(table.rows_with(column, cell).contains(&(row as u32)), "a row is not found by its own cell");
        }
    }
    for name in &table.columns {
        marks.note((ending, ["name", "label", "id", "geometry", "title", "size"].into_iter().find(|known| known == name)));
    }
    let context = Context { lists: Arc::new(One(Arc::new(table))), ..exercise::context() };
    let Ok(mut interview) = Interview::start(form(), context) else { return marks.note("does not start") };
    for value in ["b", ""] {
        let _ = interview.set("/data/a", value);
        for node in interview.nodes() {
            exercise::look(&node, marks);
            if let Some(choice) = node.choices.unwrap_or_default().first() {
                marks.note((ending, choice.value.is_empty(), choice.label.is_empty()));
                marks.note((&node.reference, interview.set(&node.place, &choice.value).is_ok()));
            }
        }
    }
    exercise::submitted(&mut interview, marks);
}

fn mutate(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut damaged = mutation::bytes(dice, input, other, &EXTERNAL);
    if dice.below(10) == 0 {
        let end = damaged.iter().position(|byte| *byte == b'\n').unwrap_or(damaged.len());
        let name = dice.of(&["a.csv", "a.xml", "a.geojson", "itemsets.csv", "a", "a.JSON"]);
        damaged.splice(..end, name.bytes());
    }
    damaged
}
