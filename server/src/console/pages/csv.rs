//! A form's records as CSV: what there is, and each file.

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::organisation::{forms_seen, titles};
use crate::console::fault::Fault;
use crate::console::page::{Page, answer, encoded};
use crate::console::visit::Visit;
use crate::export::{Exported, export};

#[derive(Template)]
#[template(path = "csv.html")]
struct CsvPage {
    page: Page,
    title: String,
    form: String,
    exported: Exported,
}

/// The files of a form.
pub fn page(visit: &Visit<'_>, form: &str) -> Result<Response, Fault> {
    let exported = exported(visit, form)?;
    let title = titles(&forms_seen(visit)?).remove(form).unwrap_or_else(|| form.to_owned());
    answer(&CsvPage { page: visit.page("forms", visit.language().words().csv_lead), title, form: form.to_owned(), exported })
}

/// One of them.
pub fn file(visit: &Visit<'_>, form: &str, name: &str) -> Result<Response, Fault> {
    let found = exported(visit, form)?.files.into_iter().find(|file| file.name == name).ok_or(Fault::NotFound)?;
    let mut answer = ([(CONTENT_TYPE, "text/csv; charset=utf-8")], found.bytes).into_response();
    let disposition = format!("attachment; filename*=UTF-8''{}", encoded(name));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

fn exported(visit: &Visit<'_>, form: &str) -> Result<Exported, Fault> {
    visit.exports()?;
    if !forms_seen(visit)?.iter().any(|row| row.form == form) {
        return Err(Fault::NotFound);
    }
    Ok(export(visit.host(), &visit.scope, form)?)
}
