//! Workbooks made cell by cell.
#![allow(dead_code, reason = "each test file uses some of it")]

use karwan_form::fault::Fault;
use karwan_form::model::Form;
use karwan_form::xlsform;
use rust_xlsxwriter::Workbook;

/// Sheets of rows of cells separated by `|`; a first line `#name` begins a sheet.
pub fn workbook(text: &str) -> Vec<u8> {
    let mut workbook = Workbook::new();
    for sheet in text.split('#').map(str::trim).filter(|sheet| !sheet.is_empty()) {
        let mut lines = sheet.lines();
        let worksheet = workbook.add_worksheet();
        worksheet.set_name(lines.next().unwrap().trim()).unwrap();
        for (row, line) in lines.enumerate() {
            for (column, cell) in line.split('|').enumerate() {
                if !cell.trim().is_empty() {
                    worksheet
                        .write_string(
                            row as u32,
                            column as u16,
                            cell.trim().replace("\\n", "\n").replace('¦', "|").replace('♯', "#"),
                        )
                        .unwrap();
                }
            }
        }
    }
    workbook.save_to_buffer().unwrap()
}

pub fn read(text: &str) -> Form {
    xlsform::read(&workbook(text), "made.xlsx")
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

pub fn faults(text: &str) -> Vec<Fault> {
    xlsform::read(&workbook(text), "made.xlsx").map(|form| form.id).expect_err("the form should have faults")
}

pub fn fault_lines(text: &str) -> Vec<String> {
    faults(text).iter().map(ToString::to_string).collect()
}
