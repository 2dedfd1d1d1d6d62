//! Expressions: read, and where they can be, put into a small form as a calculation, a condition, a constraint and a filter.

use std::sync::Arc;

use karwan_form::interview::Interview;
use karwan_form::xform;
use karwan_form::xpath::Expression;

use crate::corpus::Dice;
use crate::fuzzing::grammar::expression;
use crate::fuzzing::marks::Marks;
use crate::fuzzing::target::Target;
use crate::fuzzing::words::EXPRESSION;
use crate::fuzzing::{exercise, mutation};

pub const TARGET: Target = Target { name: "expression", about: "an XPath expression, in a small form", seeds, mutate, run };

const PATHS: [&str; 16] = [
    ".",
    "..",
    "/data/a",
    "/data/t",
    "/data/d",
    "/data/g",
    "/data/r",
    "/data/r/x",
    "../x",
    "/data/r[2]/x",
    "/data/s",
    "instance('l')/root/item",
    "instance('l')/root/item/size",
    "instance('people')/root/item/name",
    "//x",
    "current()/../a",
];
/// A form whose `$$` become the expression.
const FORM: &str = "<h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' xmlns:jr='http://openrosa.org/javarosa'>\
    <h:head><h:title>t</h:title><model><instance><data id='d'><a>7</a><t>two words</t><d>2026-11-23</d><g>34.5 69.2 0 0;34.6 69.3 0 0;34.5 69.4 0 0;34.5 69.2 0 0</g>\
    <s>b a</s><r><x>1.5</x><y/></r><r><x>-2</x><y/></r><r><x/><y/></r><out/><seen/></data></instance>\
    <instance id='l'><root><item><name>a</name><label>A</label><size>3</size></item><item><name>b</name><label>B</label><size>5</size></item></root></instance>\
    <instance id='people' src='jr://file-csv/people.csv'/>\
    <bind nodeset='/data/a' type='int' constraint='$$'/><bind nodeset='/data/d' type='date'/><bind nodeset='/data/g' type='geotrace'/>\
    <bind nodeset='/data/r/x' type='decimal'/><bind nodeset='/data/r/y' type='string' calculate='$$'/><bind nodeset='/data/out' type='string' calculate='$$'/>\
    <bind nodeset='/data/seen' relevant='$$'/></model></h:head><h:body><input ref='/data/a'><label>A <output value='$$'/></label></input>\
    <select ref='/data/s'><itemset nodeset='instance(\"l\")/root/item[$$]'><value ref='name'/><label ref='label'/></itemset></select>\
    <group ref='/data/r'><repeat nodeset='/data/r'><input ref='/data/r/x'/></repeat></group></h:body></h:html>";

fn seeds() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(1);
    let mut seeds: Vec<Vec<u8>> = PATHS.iter().map(|path| path.as_bytes().to_vec()).collect();
    seeds.extend((0..300).map(|_| expression(&mut dice, &PATHS, 2).into_bytes()));
    seeds
}

fn run(input: &[u8], marks: &mut Marks) {
    let source = String::from_utf8_lossy(input);
    match Expression::parse(&source) {
        Err(error) => return marks.message(&error.expected),
        Ok(expression) => exercise::functions(&expression, marks),
    }
    let written =
        source.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;").replace('"', "&quot;");
    let mut place = 0;
    // Not everywhere each time: an expression that looks at its own result is refused as a circle.
    for used in [&[0usize, 4, 5][..], &[1], &[2], &[3]] {
        let mut form = String::with_capacity(FORM.len() + written.len());
        for (number, part) in FORM.split("$$").enumerate() {
            if number > 0 {
                form.push_str(if used.contains(&(number - 1)) { &written } else { "true()" });
            }
            form.push_str(part);
        }
        place += 1;
        let form = match xform::read(form.as_bytes(), "fuzz.xml") {
            Ok(form) => form,
            Err(faults) => {
                exercise::faults(&faults, marks);
                continue;
            }
        };
        marks.step();
        let Ok(mut interview) = Interview::start(Arc::new(form), exercise::context()) else { continue };
        marks.step();
        if marks.is_tired() {
            return;
        }
        for (path, value) in [("/data/a", "12"), ("/data/r[1]/x", "4"), ("/data/r[3]/x", "0")] {
            let _ = interview.set(path, value);
            marks.step();
        }
        let _ = interview.add("/data/r");
        let _ = interview.remove("/data/r[1]");
        marks.step();
        for node in interview.nodes() {
            exercise::look(&node, marks);
            let value = node.value.unwrap_or_default();
            marks.note((place, value.is_empty(), value.parse::<f64>().is_ok(), value.contains('-'), value.contains("NaN")));
            marks.count(place, value.len());
        }
        marks.step();
        marks.note(interview.finalize().is_ok());
        marks.step();
    }
}

fn mutate(dice: &mut Dice, input: &[u8], other: &[u8]) -> Vec<u8> {
    match dice.below(4) {
        0 => {
            let depth = 1 + dice.below(5) as u32;
            expression(dice, &PATHS, depth).into_bytes()
        }
        1 => {
            // What was kept becomes an argument of something new.
            let outer = expression(dice, &["\u{1}"], 2);
            let (input, other) = (String::from_utf8_lossy(input), String::from_utf8_lossy(other));
            outer.replacen('\u{1}', &input, 1).replacen('\u{1}', &other, 1).replace('\u{1}', ".").into_bytes()
        }
        _ => mutation::bytes(dice, input, other, &EXPRESSION),
    }
}
