//! XLSForms made from tables, so that a test shows the form that it is about.

use rust_xlsxwriter::{Workbook, XlsxError};

/// One sheet: its name and its rows, the header first.
pub type Sheet<'a> = (&'a str, &'a [&'a [&'a str]]);

/// An `.xlsx` file with these sheets.
pub fn workbook(sheets: &[Sheet<'_>]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    for (name, rows) in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(*name)?;
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                sheet.write_string(row as u32, column as u16, *cell)?;
            }
        }
    }
    book.save_to_buffer()
}

/// A household: a phone, counts that must agree, needs (several choices), members (a repeat), a status by events and grant
/// instalments; one entity a household.
pub fn household_form() -> Result<Vec<u8>, XlsxError> {
    workbook(&[
        (
            "survey",
            &[
                &[
                    "type",
                    "name",
                    "label::English (en)",
                    "label::فارسی (fa)",
                    "required",
                    "constraint",
                    "constraint_message::English (en)",
                    "relevant",
                    "calculation",
                    "save_to",
                    "bind::karwan:merge",
                    "bind::karwan:identity",
                    "repeat_count",
                ],
                &["text", "head_name", "Name of the head", "نام سرپرست", "yes", "", "", "", "", "head_name", "", "given_name"],
                &["text", "father_name", "Father's name", "نام پدر", "", "", "", "", "", "", "", "father_name"],
                &["integer", "birth_year", "Year of birth (Solar Hijri)", "سال تولد", "", "", "", "", "", "", "", "birth_year"],
                &["text", "document_no", "Document number", "شماره مدرک", "", "", "", "", "", "", "", "document"],
                &["text", "phone", "Phone", "تلفن", "", "", "", "", "", "phone", ""],
                &["integer", "adults", "Adults", "بزرگسالان", "", ". >= 0", "Not below 0."],
                &["integer", "children", "Children", "کودکان", "", ". >= 0", "Not below 0."],
                &[
                    "integer",
                    "rooms",
                    "Sleeping places",
                    "جای خواب",
                    "",
                    "${adults} + ${children} <= .",
                    "Fewer places than people.",
                ],
                &["calculate", "people", "", "", "", "", "", "", "coalesce(${adults}, 0) + coalesce(${children}, 0)", "people"],
                &["select_multiple need", "needs", "Needs", "نیازها"],
                &["select_one destination", "destination", "Destination", "مقصد", "", "", "", "", "", "destination"],
                &["select_one status", "status", "Status", "وضعیت", "", "", "", "", "", "status", "events"],
                &["begin_repeat", "member", "Member", "عضو"],
                &["text", "m_name", "Name", "نام"],
                &["integer", "m_age", "Age", "سن"],
                &["end_repeat", "member"],
                &["begin_repeat", "instalment", "Instalment", "قسط", "", "", "", "", "", "", "", "", "2"],
                &["select_one decision", "decision", "Decision", "تصمیم", "", "", "", "", "", "", "events"],
                &["end_repeat", "instalment"],
            ],
        ),
        (
            "choices",
            &[
                &["list_name", "name", "label::English (en)", "label::فارسی (fa)"],
                &["need", "food", "Food", "غذا"],
                &["need", "shelter", "Shelter", "سرپناه"],
                &["need", "health", "Health", "درمان"],
                &["destination", "herat", "Herat", "هرات"],
                &["destination", "kabul", "Kabul", "کابل"],
                &["destination", "balkh", "Balkh", "بلخ"],
                &["status", "registered", "Registered", "ثبت‌شده"],
                &["status", "booked", "Booked", "رزروشده"],
                &["status", "withdrawn", "Withdrawn", "منصرف"],
                &["decision", "requested", "Requested", "درخواست"],
                &["decision", "approved", "Approved", "تأیید"],
                &["decision", "paid", "Paid", "پرداخت"],
            ],
        ),
        (
            "karwan_status",
            &[
                &["question", "from", "to", "role", "beats"],
                &["status", "", "registered"],
                &["status", "registered", "booked"],
                &["status", "registered", "withdrawn", "", "booked"],
                &["status", "booked", "withdrawn", "", "booked"],
                &["decision", "", "requested"],
                &["decision", "requested", "approved", "supervisor"],
                &["decision", "approved", "paid", "supervisor"],
            ],
        ),
        (
            "settings",
            &[
                &["form_title", "form_id", "version", "default_language", "instance_name"],
                &["Household", "household", "1", "English (en)", "${head_name}"],
            ],
        ),
        ("entities", &[&["list_name", "label"], &["households", "${head_name}"]]),
    ])
}

/// Somebody with a photograph, a paper and a family of which each member may have a photograph.
pub fn photo_form() -> Result<Vec<u8>, XlsxError> {
    workbook(&[
        (
            "survey",
            &[
                &["type", "name", "label", "parameters"],
                &["text", "name", "Name"],
                &["image", "photo", "Photograph", "max-pixels=320"],
                &["file", "paper", "Paper"],
                &["begin_repeat", "member", "Member"],
                &["text", "m_name", "Name"],
                &["image", "m_photo", "Photograph"],
                &["end_repeat", "member"],
            ],
        ),
        ("settings", &[&["form_title", "form_id", "version", "instance_name"], &["Person", "person", "1", "${name}"]]),
    ])
}

/// A visit to a household that was registered before, by whichever team: picks it from the entity list and updates it.
pub fn visit_form() -> Result<Vec<u8>, XlsxError> {
    workbook(&[
        (
            "survey",
            &[
                &["type", "name", "label", "required", "relevant", "save_to"],
                &["select_one_from_file households.csv", "household", "Which household?", "yes"],
                &["text", "phone", "Phone now", "", "", "phone"],
                &["text", "remarks", "Remarks", "", "", "remarks"],
            ],
        ),
        ("settings", &[&["form_title", "form_id", "version"], &["Visit", "visit", "1"]]),
        ("entities", &[&["list_name", "label", "entity_id", "update_if"], &["households", "", "${household}", "true()"]]),
    ])
}

/// A form of a name and a number.
///
/// # Panics
/// Where no workbook can be written.
#[allow(clippy::unwrap_used)]
pub fn tally_form() -> Vec<u8> {
    let rows: &[&[&str]] = &[&["type", "name", "label"], &["text", "head_name", "Name"], &["integer", "adults", "Adults"]];
    let settings: &[&[&str]] =
        &[&["form_title", "form_id", "version", "instance_name"], &["Tally", "tally", "1", "${head_name}"]];
    workbook(&[("survey", rows), ("settings", settings)]).unwrap()
}
