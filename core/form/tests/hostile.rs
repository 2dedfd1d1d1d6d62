//! Forms and answers from a stranger: a clear fault, in bounded time and memory, and never a panic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::format_collect, missing_docs)]

use std::io::Write as _;
use std::sync::Arc;

use karwan_form::interview::{Context, Interview};
use karwan_form::{external, xform};

const FORM: &str = "<?xml version='1.0'?><h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' \
    xmlns:jr='http://openrosa.org/javarosa'><h:head><h:title>t</h:title><model><instance><data id='d'><a>1</a><r jr:template=''>\
    <x/></r><c/><p/></data></instance><instance id='l'><root><item><name>n</name><label>L</label></item></root></instance>\
    <bind nodeset='/data/a' type='int' constraint='. &lt; 9'/><bind nodeset='/data/c' calculate='sum(/data/r/x) + /data/a'/>\
    <bind nodeset='/data/r/x' type='decimal' relevant='../../a &gt; 0'/></model></h:head><h:body><input ref='/data/a'><label>A</label>\
    </input><repeat nodeset='/data/r'><input ref='/data/r/x'/></repeat><select1 ref='/data/p'><itemset nodeset=\"instance('l')/root/item\">\
    <value ref='name'/><label ref='label'/></itemset></select1></h:body></h:html>";

fn with_bind(bind: &str) -> String {
    FORM.replace("</model>", &format!("{bind}</model>"))
}

fn first_fault(xml: &str) -> String {
    let faults = xform::read(xml.as_bytes(), "x.xml").map(|form| form.id).unwrap_err();
    faults.first().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_zip_bomb_is_refused_by_its_size() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in ["[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"] {
        zip.start_file(name, options).unwrap();
        let block = vec![b' '; 1 << 20];
        for _ in 0..200 {
            zip.write_all(&block).unwrap();
        }
    }
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 4 << 20, "{}", bytes.len());
    let faults = karwan_form::read(&bytes, "bomb.xlsx").map(|form| form.id).unwrap_err();
    assert!(!faults[0].message.is_empty());
}

#[test]
fn entities_and_document_types_are_refused() {
    let bomb = FORM.replace("<h:html", "<!DOCTYPE lolz [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><h:html");
    assert!(first_fault(&bomb).contains("document type"), "{}", first_fault(&bomb));
    let outside = FORM.replace("<h:html", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><h:html");
    assert!(first_fault(&outside).contains("document type"));
}

#[test]
fn circles_are_named_in_both_directions() {
    let fault = first_fault(&with_bind("<bind nodeset='/data/p' calculate='/data/c'/>").replace("+ /data/a", "+ /data/p"));
    assert!(fault.contains("in a circle") && fault.contains("<bind calculate>"), "{fault}");
}

#[test]
fn deep_expressions_and_deep_elements_are_faults() {
    let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(first_fault(&with_bind(&format!("<bind nodeset='/data/p' calculate='{deep}'/>"))).contains("calculate"));
    let nested = format!("<h:html>{}", "<a>".repeat(1_000_000));
    assert!(first_fault(&nested).contains("deep"));
}

#[test]
fn a_million_choices_are_read_and_looked_up() {
    let mut csv = String::from("name,label\n");
    for row in 0..1_000_000 {
        csv.push_str(&format!("p{row},Place {row}\n"));
    }
    let table = external::read(csv.as_bytes(), "places.csv");
    assert_eq!(table.rows.len(), 1_000_000);
    assert_eq!(table.rows_with(0, "p999999"), [999_999]);
}

#[test]
fn actions_that_trigger_one_another_come_to_an_end() {
    let action = |from: &str, to: &str| {
        format!(
            "<input ref='/data/{from}'><setvalue event='xforms-value-changed' ref='/data/{to}' value='concat(../{from}, 1)'/></input>"
        )
    };
    let both = format!("<h:body>{}{}", action("p", "c"), action("c", "p"));
    let circle = FORM.replace("<h:body>", &both).replace(" calculate='sum(/data/r/x) + /data/a'", "");
    let form = Arc::new(xform::read(circle.as_bytes(), "x.xml").unwrap());
    let mut interview = Interview::start(form, Context::at(0, [0; 32])).unwrap();
    interview.set("/data/c", "1").unwrap();
    let written = interview.node("/data/p").unwrap().value.unwrap_or_default();
    assert!(written.starts_with("11") && written.len() <= 64 * 1024, "{}", written.len());
}

#[test]
fn calculations_that_double_one_another_stay_short() {
    let names: Vec<String> = (0..40).map(|number| format!("x{number}")).collect();
    let nodes: String = names.iter().map(|name| format!("<{name}/>")).collect();
    let binds = names
        .iter()
        .zip(names.iter().skip(1))
        .map(|(before, name)| format!("<bind nodeset='/data/{name}' calculate='concat(/data/{before}, /data/{before})'/>"));
    let first = "<bind nodeset='/data/x0' calculate=\"'0123456789'\"/>".to_owned();
    let binds: String = std::iter::once(first).chain(binds).collect();
    let form = with_bind(&binds).replace("<c/>", &format!("<c/>{nodes}"));
    let form = Arc::new(xform::read(form.as_bytes(), "x.xml").unwrap());
    let interview = Interview::start(form, Context::at(0, [0; 32])).unwrap();
    let length = |name: &str| interview.node(&format!("/data/{name}")).unwrap().value.unwrap_or_default().len();
    assert_eq!(length("x12"), 10 << 12, "what fits into an answer is kept");
    assert_eq!(length("x13"), 0, "what does not is blank");
    assert!(names.iter().all(|name| length(name) <= 64 * 1024));
}

#[test]
fn an_expression_that_looks_at_everything_in_everything_ends_as_a_failed_one() {
    let nested = (0..9).fold("count(//*)".to_owned(), |inner, _| format!("count(//*[{inner} &gt; 0])"));
    let xml = with_bind(&format!("<bind nodeset='/data/p' calculate='{nested}'/>"));
    let form = Arc::new(xform::read(xml.as_bytes(), "x.xml").unwrap());
    // Without limits this takes hours.
    let interview = Interview::start(form, Context::at(0, [0; 32])).unwrap();
    assert_eq!(interview.node("/data/p").unwrap().value.unwrap_or_default(), "");
}

#[test]
fn everything_joined_again_and_again_is_no_longer_than_an_answer() {
    let many = vec!["//*"; 900].join(", ");
    let joined = vec![format!("join(&quot; &quot;, {many})"); 4].join(", ");
    let xml = with_bind(&format!("<bind nodeset='/data/p' calculate='concat({joined})'/>"));
    let form = Arc::new(xform::read(xml.as_bytes(), "x.xml").unwrap());
    let interview = Interview::start(form, Context::at(0, [0; 32])).unwrap();
    assert!(interview.node("/data/p").unwrap().value.unwrap_or_default().len() <= 64 * 1024);
}

#[test]
fn letters_of_a_long_text_are_exchanged_without_looking_through_all_for_each() {
    let text = |letter: &str| letter.repeat(30_000);
    let source = format!("translate(&quot;{}&quot;, &quot;{}a&quot;, &quot;&quot;)", text("ac"), text("b"));
    let xml = with_bind(&format!("<bind nodeset='/data/p' calculate='{source}'/>"));
    let form = Arc::new(xform::read(xml.as_bytes(), "x.xml").unwrap());
    let interview = Interview::start(form, Context::at(0, [0; 32])).unwrap();
    assert_eq!(interview.node("/data/p").unwrap().value.unwrap_or_default(), text("c"));
}

#[test]
fn a_long_default_is_not_copied_into_every_instance_without_a_bound() {
    let long = FORM.replace("<x/>", &format!("<x>{}</x>", "a".repeat(60_000)));
    let counted = long
        .replace("<repeat nodeset='/data/r'>", "<repeat nodeset='/data/r' jr:count='10000'>")
        .replace("type='decimal'", "type='string'");
    let form = Arc::new(xform::read(counted.as_bytes(), "x.xml").unwrap());
    let started = Interview::start(form, Context::at(0, [0; 32]));
    let refused = started.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("bytes of defaults"), "{refused}");
}

/// A small generator (xorshift), so that a failure can be had again.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

#[test]
fn bent_forms_and_answers_never_panic() {
    let pieces = [
        "<",
        ">",
        "'",
        "\"",
        "/",
        "&amp;",
        "&x;",
        "]]>",
        "(",
        "[",
        "/data",
        "../..",
        "instance('l')",
        "99999999999",
        "\u{0}",
        "ي",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut read, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut bytes = FORM.as_bytes().to_vec();
        for _ in 0..=next(&mut state) % 3 {
            let at = next(&mut state) % bytes.len();
            let end = (at + next(&mut state) % 12).min(bytes.len());
            let piece = pieces[next(&mut state) % pieces.len()];
            bytes.splice(at..end, piece.bytes());
        }
        match xform::read(&bytes, "x.xml") {
            Err(faults) => {
                refused += 1;
                assert!(!faults.is_empty());
            }
            Ok(form) => {
                read += 1;
                let written = xform::write(&form);
                let mut interview = Interview::start(Arc::new(form), Context::at(0, [0; 32])).unwrap();
                for place in ["/data/a", "/data/r[1]/x", "/data/p", "/data/c", "/data/zz[0]"] {
                    let _ = interview.set(place, pieces[next(&mut state) % pieces.len()]);
                    let _ = interview.set(place, "3");
                }
                let _ = interview.add("/data/r");
                let _ = interview.finalize();
                assert!(written.contains("h:html"));
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

/// A server reads forms on threads whose stack is small.
#[test]
fn a_small_stack_bears_whatever_is_nested() {
    let work = || {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        for source in [
            nested("(", ")"),
            nested("not(", ")"),
            nested("/data[", "]"),
            nested("-", ""),
            nested("1 + (", ")"),
            format!("1{}", " + 1".repeat(20_000)),
            format!("/data{}", "/..".repeat(20_000)),
            format!("/data{}", "[1]".repeat(20_000)),
            format!("a{}", " | a".repeat(20_000)),
        ] {
            // Read or refused: what matters is that it ends, and that what is read can be used.
            let xml = with_bind(&format!("<bind nodeset='/data/p' calculate='{source}'/>"));
            if let Ok(form) = xform::read(xml.as_bytes(), "x.xml") {
                let written = xform::write(&form);
                assert!(written.contains("</h:html>"));
                drop(Interview::start(Arc::new(form), Context::at(0, [0; 32])));
            }
        }
        let deep = FORM.replace("<c/>", &format!("<c/>{}{}", "<g>".repeat(190), "</g>".repeat(190)));
        let form = xform::read(deep.as_bytes(), "x.xml").unwrap();
        let mut interview = Interview::start(Arc::new(form), Context::at(0, [0; 32])).unwrap();
        assert!(interview.nodes().len() > 190);
        drop(interview.finalize());
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
