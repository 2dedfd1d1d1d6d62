//! Forms that are made to exhaust whoever reads them: each is refused with a fault that says what is wrong, in bounded time and memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::format_collect)]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::time::{Duration, Instant};

use karwan_tests::fuzzing::cells::{self, Sheet};
use karwan_tests::fuzzing::memory::{self, Counting};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[global_allocator]
static MEMORY: Counting = Counting;

/// A second or less where it is optimised and the machine is not busy.
const TIME_MAX: Duration = Duration::from_mins(1);
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// Reads what must be refused: the first fault, after time and memory were looked at.
fn refused(name: &str, bytes: &[u8]) -> String {
    let held = memory::begin();
    let began = Instant::now();
    let faults = karwan_form::read(bytes, name).map(|form| form.nodes.len()).unwrap_err();
    let (time, peak) = (began.elapsed(), memory::peak_bytes() - held);
    println!("{name}: {} bytes, {:.2} s, {} MiB: {}", bytes.len(), time.as_secs_f64(), peak >> 20, faults[0]);
    assert!(time < TIME_MAX, "{name} took {time:?}");
    assert!(peak < MEMORY_BYTES_MAX, "{name} held {peak} bytes");
    faults[0].to_string()
}

fn survey(rows: &[[&str; 4]]) -> Vec<u8> {
    let row = |cells: &[&str; 4]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    let rows = [["type", "name", "label", "calculation"]].iter().chain(rows).map(row).collect();
    cells::workbook(&[Sheet { name: "survey".to_owned(), rows }])
}

/// The workbook with a part in place of another, compressed.
fn with_part(workbook: &[u8], name: &str, content: impl Fn(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (part, bytes) in cells::unpack(workbook).unwrap() {
        zip.start_file(part.as_str(), SimpleFileOptions::default()).unwrap();
        if part == name {
            content(&mut zip);
        } else {
            zip.write_all(&bytes).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn bombs_are_refused_by_name_in_bounded_time_and_memory() {
    let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let fault = refused("deep.xlsx", &survey(&[["calculate", "a", "", &deep], ["text", "b", "B", ""]]));
    assert!(fault.contains("row 2, column calculation") && fault.contains("deep"), "{fault}");

    let circle = [["calculate", "a", "", "${b} + 1"], ["calculate", "b", "", "${a} + 1"], ["text", "c", "C", ""]];
    let fault = refused("circle.xlsx", &survey(&circle));
    assert!(fault.contains("column calculation") && fault.contains("circ"), "{fault}");

    let form = survey(&[["text", "a", "A", ""]]);
    let spaces = |zip: &mut ZipWriter<Cursor<Vec<u8>>>| (0..700).for_each(|_| zip.write_all(&vec![b' '; 1 << 20]).unwrap());
    let bomb = with_part(&form, "xl/worksheets/sheet1.xml", spaces);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    assert!(refused("zip.xlsx", &bomb).contains("unpacks to more than"));

    let million = with_part(&form, "xl/worksheets/sheet1.xml", |zip| {
        zip.write_all(b"<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>").unwrap();
        let mut rows = String::new();
        for row in 1..=1_000_001 {
            let cell = |column: char, text: &str| format!("<c r=\"{column}{row}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
            let _ = write!(rows, "<row r=\"{row}\">{}{}</row>", cell('A', "yn"), cell('B', &format!("c{row}")));
            if row % 10_000 == 0 {
                zip.write_all(rows.as_bytes()).unwrap();
                rows.clear();
            }
        }
        zip.write_all(rows.as_bytes()).unwrap();
        zip.write_all(b"</sheetData></worksheet>").unwrap();
    });
    let fault = refused("million.xlsx", &million);
    assert!(fault.contains("row 1000001") && fault.contains("at most 1000000 rows"), "{fault}");

    let laughs: String = (1..30).map(|number| format!("<!ENTITY a{number} '&a{0};&a{0};&a{0};'>", number - 1)).collect();
    let entities = format!("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a0 'ha'>{laughs}]><h:html>&a29;</h:html>");
    assert!(refused("entities.xml", entities.as_bytes()).contains("document type"));
}
