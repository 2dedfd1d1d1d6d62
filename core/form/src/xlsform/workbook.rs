//! Reads a workbook's bytes into sheets of text cells. A workbook is foreign data: its size, unpacked size, rows, columns and
//! cells are bounded before anything is kept.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, Xlsx};

use crate::fault::Fault;

/// Largest workbook, in bytes.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest workbook once its zip is unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most files in the workbook's zip.
pub const ZIP_FILES_MAX: usize = 10_000;
/// Most rows of a sheet.
pub const ROWS_MAX: u32 = 1_000_000;
/// Most columns of a sheet.
pub const COLUMNS_MAX: u32 = 2_000;
/// Most cells of all sheets that hold something.
pub const CELLS_MAX: usize = 20_000_000;
/// Longest cell, in bytes.
pub const CELL_BYTES_MAX: usize = 256 * 1024;

/// A sheet: its name and its rows from the top.
#[derive(Debug, Default)]
pub struct RawSheet {
    pub name: String,
    pub rows: Vec<RawRow>,
}

/// A row that holds something.
#[derive(Debug)]
pub struct RawRow {
    /// As the spreadsheet shows it, 1-based.
    pub number: u32,
    /// Column (0-based) and text, in the order of the columns.
    pub cells: Vec<(u32, String)>,
}

/// What a spreadsheet shows in a cell whose formula has failed.
pub const CELL_ERRORS: [&str; 8] = ["#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#N/A", "#NUM!", "#NULL!", "#DATA!"];

/// Sheets that XLSForm and Karwan know. Others may hold anything and are not read.
const SHEETS: [&str; 7] = ["survey", "choices", "settings", "entities", "external_choices", "karwan_status", "osm"];

/// What an `.xls` begins with.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Reads all sheets that a form can have.
pub fn read(bytes: &[u8]) -> Result<(Vec<RawSheet>, Vec<String>), Fault> {
    if bytes.len() > BYTES_MAX {
        return Err(Fault::of_file(
            format!("the workbook has {} bytes; at most {BYTES_MAX} are read", bytes.len()),
            "move long choice lists into CSV files and use `select_one_from_file`",
        ));
    }
    let packed = bytes.starts_with(b"PK\x03\x04");
    if packed {
        check_unpacked(bytes)?;
    }
    if !packed && !bytes.starts_with(OLE) {
        let mend = "give a workbook (`.xlsx`, `.xls`) or an XForm (`.xml`)";
        return Err(Fault::of_file("this is neither an Excel workbook nor an XForm", mend));
    }
    // The parser is foreign code over foreign data: what it cannot bear is a fault of the file, not the end of the process.
    catch_unwind(AssertUnwindSafe(|| if packed { read_xlsx(bytes) } else { read_xls(bytes) }))
        .unwrap_or_else(|_| Err(unreadable()))
}

fn unreadable() -> Fault {
    Fault::of_file("this cannot be read as an Excel workbook", "save the form as `.xlsx` in a spreadsheet program and try again")
}

/// Unpacks everything once and throws it away: a zip's own word on its sizes is not to be trusted.
fn check_unpacked(bytes: &[u8]) -> Result<(), Fault> {
    let too_large = || {
        Fault::of_file(
            format!("the workbook unpacks to more than {UNPACKED_BYTES_MAX} bytes"),
            "delete unused sheets and empty formatted rows, and save it again",
        )
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| unreadable())?;
    if archive.len() > ZIP_FILES_MAX {
        return Err(too_large());
    }
    let mut left = UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|_| unreadable())?;
        if file.size() > left {
            return Err(too_large());
        }
        let read = std::io::copy(&mut file.take(left + 1), &mut std::io::sink()).map_err(|_| unreadable())?;
        left = left.checked_sub(read).ok_or_else(too_large)?;
    }
    Ok(())
}

fn read_xlsx(bytes: &[u8]) -> Result<(Vec<RawSheet>, Vec<String>), Fault> {
    let mut workbook: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(|_| unreadable())?;
    let names = workbook.sheet_names();
    let mut sheets = Vec::new();
    let mut room = CELLS_MAX;
    for (name, key) in known(&names) {
        let mut sheet = Collector::new(key, &mut room);
        let mut cells = workbook.worksheet_cells_reader(name).map_err(|_| unreadable())?;
        while let Some(cell) = cells.next_cell().map_err(|_| unreadable())? {
            let text = match cell.get_value() {
                DataRef::SharedString(text) => (*text).to_owned(),
                other => text_of(&Data::from(other.clone())),
            };
            sheet.add(cell.get_position(), text)?;
        }
        sheets.push(sheet.finish());
    }
    Ok((sheets, names))
}

fn read_xls(bytes: &[u8]) -> Result<(Vec<RawSheet>, Vec<String>), Fault> {
    let mut workbook: Xls<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(|_| unreadable())?;
    let names = workbook.sheet_names();
    let mut sheets = Vec::new();
    let mut room = CELLS_MAX;
    for (name, key) in known(&names) {
        let mut sheet = Collector::new(key, &mut room);
        let range = workbook.worksheet_range(name).map_err(|_| unreadable())?;
        let (top, left) = range.start().unwrap_or((0, 0));
        for (row, column, data) in range.used_cells() {
            sheet.add((top + row as u32, left + column as u32), text_of(data))?;
        }
        sheets.push(sheet.finish());
    }
    Ok((sheets, names))
}

/// Sheets that are read, by their name in the workbook and here. One sheet alone is the survey, whatever its name.
fn known(names: &[String]) -> Vec<(&str, String)> {
    if let [only] = names {
        return vec![(only, "survey".to_owned())];
    }
    let keyed = names.iter().map(|name| (name.as_str(), sheet_key(name)));
    keyed.filter(|(_, key)| SHEETS.contains(&key.as_str())).collect()
}

/// Sheet names are read without regard to case.
pub fn sheet_key(name: &str) -> String {
    name.to_lowercase()
}

struct Collector<'room> {
    sheet: RawSheet,
    sorted: bool,
    room: &'room mut usize,
}

impl<'room> Collector<'room> {
    fn new(name: String, room: &'room mut usize) -> Self {
        Self { sheet: RawSheet { name, rows: Vec::new() }, sorted: true, room }
    }

    fn add(&mut self, (row, column): (u32, u32), text: String) -> Result<(), Fault> {
        let text = clean(text);
        if text.is_empty() {
            return Ok(());
        }
        let name = self.sheet.name.clone();
        let limit = |message: String, mend: &str| Fault::at(&name, row + 1, "", message, mend);
        if row >= ROWS_MAX {
            return Err(limit(format!("a sheet has at most {ROWS_MAX} rows"), "move the rows into a CSV file"));
        }
        if column >= COLUMNS_MAX {
            return Err(limit(
                format!("a sheet has at most {COLUMNS_MAX} columns"),
                "delete what stands to the right of the table",
            ));
        }
        if text.len() > CELL_BYTES_MAX {
            return Err(limit(format!("a cell holds at most {CELL_BYTES_MAX} bytes"), "shorten it"));
        }
        *self.room = self
            .room
            .checked_sub(1)
            .ok_or_else(|| limit(format!("a workbook has at most {CELLS_MAX} filled cells"), "move long lists into CSV files"))?;
        let number = row + 1;
        match self.sheet.rows.last_mut() {
            Some(last) if last.number == number => {
                self.sorted &= last.cells.last().is_none_or(|(before, _)| *before < column);
                last.cells.push((column, text));
            }
            last => {
                self.sorted &= last.is_none_or(|last| last.number < number);
                self.sheet.rows.push(RawRow { number, cells: vec![(column, text)] });
            }
        }
        Ok(())
    }

    /// Sheets are written row by row; a workbook that is not is put in order.
    fn finish(mut self) -> RawSheet {
        if !self.sorted {
            self.sheet.rows.sort_by_key(|row| row.number);
            let mut rows: Vec<RawRow> = Vec::new();
            for row in self.sheet.rows.drain(..) {
                match rows.last_mut() {
                    Some(last) if last.number == row.number => last.cells.extend(row.cells),
                    _ => rows.push(row),
                }
            }
            for row in &mut rows {
                row.cells.sort_by_key(|(column, _)| *column);
                row.cells.dedup_by_key(|(column, _)| *column);
            }
            self.sheet.rows = rows;
        }
        self.sheet
    }
}

/// No-break spaces become spaces, outer spaces go.
fn clean(text: String) -> String {
    let text = if text.contains('\u{a0}') { text.replace('\u{a0}', " ") } else { text };
    let trimmed = text.trim();
    if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
}

fn text_of(data: &Data) -> String {
    match data {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number_text(*number),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(moment) => moment_text(moment),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(error) => error.to_string(),
        Data::Empty => String::new(),
    }
}

/// Whole numbers without a point; others as short as they can be read back.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{}", number as i64) } else { format!("{number}") }
}

/// `2026-11-23`, `2026-11-23T10:30:00`, `10:30:00`.
fn moment_text(moment: &ExcelDateTime) -> String {
    let value = moment.as_f64();
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    if (0.0..1.0).contains(&value) {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else if value.fract() == 0.0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn numbers_read_as_people_wrote_them() {
        assert_eq!(number_text(5.0), "5");
        assert_eq!(number_text(-2.5), "-2.5");
        assert_eq!(number_text(0.1), "0.1");
        assert_eq!(number_text(2_026_112_301.0), "2026112301");
    }

    #[test]
    fn anything_else_is_refused_and_not_fatal() {
        assert!(read(b"").is_err());
        assert!(read(b"PK\x03\x04 not a zip").is_err());
        assert!(read(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0, 0, 0]).is_err());
        assert!(read(&vec![0; BYTES_MAX + 1]).unwrap_err().message.contains("at most"));
    }
}
