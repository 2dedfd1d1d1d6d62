//! Workbooks as text: `#sheet NAME`, then a line a row, cells separated by tabs. What is written so is small, can be read by a
//! person, and can be damaged cell by cell; it becomes an `.xlsx` when it is run.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write as _};

use calamine::{Data, Reader, Xlsx};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// What a workbook of text begins with.
const SHEET: &str = "#sheet ";
/// Most sheets, rows and cells a row that are written.
const SHEETS_MAX: usize = 12;
const ROWS_MAX: usize = 20_000;
const COLUMNS_MAX: usize = 400;
/// Largest part of a zip that is unpacked to be damaged, in bytes.
const PART_BYTES_MAX: u64 = 1 << 20;

/// What kind each part of a workbook is.
const TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
    <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
    <Default Extension=\"xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>\
    <Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>\
    </Types>";

/// A sheet's name and its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    pub name: String,
    pub rows: Vec<Vec<String>>,
}

/// Reads the text; nothing where it is none.
pub fn parse(input: &[u8]) -> Option<Vec<Sheet>> {
    let text = std::str::from_utf8(input).ok().filter(|text| text.starts_with(SHEET))?;
    let mut sheets: Vec<Sheet> = Vec::new();
    for line in text.split('\n') {
        if let Some(name) = line.strip_prefix(SHEET) {
            sheets.push(Sheet { name: name.to_owned(), rows: Vec::new() });
        } else if let Some(sheet) = sheets.last_mut() {
            sheet.rows.push(line.split('\t').map(|cell| cell.replace('\u{2028}', "\n")).collect());
        }
    }
    Some(sheets)
}

/// The way back.
pub fn text(sheets: &[Sheet]) -> Vec<u8> {
    let mut text = String::new();
    for sheet in sheets {
        let _ = write!(text, "{SHEET}{}", one_line(&sheet.name));
        for row in &sheet.rows {
            let cells: Vec<String> = row.iter().map(|cell| one_line(cell)).collect();
            let _ = write!(text, "\n{}", cells.join("\t").trim_end_matches('\t'));
        }
        text.push('\n');
    }
    text.pop();
    text.into_bytes()
}

fn one_line(cell: &str) -> String {
    cell.replace(['\t', '\r'], " ").replace('\n', "\u{2028}")
}

/// The cells of an `.xlsx`.
pub fn of_workbook(bytes: &[u8]) -> Option<Vec<Sheet>> {
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).ok()?;
    let sheets = book.worksheets().into_iter().map(|(name, range)| {
        let cell = |data: &Data| if matches!(data, Data::Empty) { String::new() } else { data.to_string() };
        Sheet { name, rows: range.rows().map(|row| row.iter().map(cell).collect()).collect() }
    });
    Some(sheets.collect())
}

fn escaped(text: &str) -> String {
    let allowed = text.chars().filter(|character| !character.is_control() || *character == '\n');
    allowed.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An `.xlsx` of the sheets, not compressed.
pub fn workbook(sheets: &[Sheet]) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let (mut book, mut relations) = (String::new(), String::new());
    let mut parts = Vec::new();
    for (sheet, number) in sheets.iter().take(SHEETS_MAX).zip(1..) {
        let name = escaped(&sheet.name);
        let _ = write!(book, "<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"r{number}\"/>");
        let _ = write!(
            relations,
            "<Relationship Id=\"r{number}\" Type=\"{RELATIONS}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        );
        let mut rows = String::new();
        for (row, at) in sheet.rows.iter().take(ROWS_MAX).zip(1..) {
            let _ = write!(rows, "<row r=\"{at}\">");
            for (column, cell) in row.iter().take(COLUMNS_MAX).enumerate().filter(|(_, cell)| !cell.is_empty()) {
                let _ = write!(
                    rows,
                    "<c r=\"{}{at}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
                    letters(column),
                    escaped(cell)
                );
            }
            rows.push_str("</row>");
        }
        let xml = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
        parts.push((format!("xl/worksheets/sheet{number}.xml"), xml.into_bytes()));
    }
    let book = format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><sheets>{book}</sheets></workbook>");
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    parts.push(("xl/workbook.xml".to_owned(), book.into_bytes()));
    parts.push((
        "xl/_rels/workbook.xml.rels".to_owned(),
        format!("<Relationships xmlns=\"{package}\">{relations}</Relationships>").into_bytes(),
    ));
    // A reader finds the workbook by these.
    let office = format!("{RELATIONS}/officeDocument");
    parts.push((
        "_rels/.rels".to_owned(),
        format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{office}\" Target=\"xl/workbook.xml\"/></Relationships>"
        )
        .into_bytes(),
    ));
    parts.push(("[Content_Types].xml".to_owned(), TYPES.as_bytes().to_vec()));
    pack(&parts)
}

fn letters(column: usize) -> String {
    let letter = |digit: usize| char::from(b'A' + (digit % 26) as u8);
    match column / 26 {
        0 => letter(column).to_string(),
        over => format!("{}{}", letter(over - 1), letter(column)),
    }
}

/// The parts of a zip by name; nothing where it is none or one is too large to be damaged.
pub fn unpack(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut parts = Vec::new();
    for index in 0..archive.len().min(40) {
        let mut part = archive.by_index(index).ok()?.take(PART_BYTES_MAX);
        let mut content = Vec::new();
        part.read_to_end(&mut content).ok()?;
        let name = part.get_ref().name().ok()?.into_owned();
        parts.push((name, content));
    }
    Some(parts)
}

/// A zip of these parts, not compressed.
pub fn pack(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in parts {
        if archive.start_file(name.as_str(), options).is_ok() {
            let _ = archive.write_all(content);
        }
    }
    archive.finish().map(Cursor::into_inner).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Sheet, of_workbook, parse, text, workbook};

    #[test]
    fn a_workbook_of_text_is_one_of_cells() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let sheets = vec![
            Sheet {
                name: "survey".to_owned(),
                rows: vec![row(&["type", "name", "label"]), row(&["text", "a", "A < & \"B\"\nنام"])],
            },
            Sheet { name: "settings".to_owned(), rows: vec![row(&["form_id"]), row(&["f"])] },
        ];
        assert_eq!(parse(&text(&sheets)).unwrap(), sheets);
        assert_eq!(of_workbook(&workbook(&sheets)).unwrap(), sheets);
        assert!(parse(b"PK").is_none());
    }
}
