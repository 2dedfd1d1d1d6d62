//! What the organisation has: forms, and for administrators the people. Both are only read here.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use crate::console::fault::Fault;
use crate::console::page::{Page, answer};
use crate::console::visit::Visit;
use crate::organisation::forms::FormRow;
use crate::organisation::people::PersonRow;

#[derive(Template)]
#[template(path = "forms.html")]
struct FormsPage {
    page: Page,
    forms: Vec<FormRow>,
    exports: bool,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    page: Page,
    people: Vec<PersonRow>,
}

/// Forms of the caseloads that this person may see.
pub fn forms(visit: &Visit<'_>) -> Result<Response, Fault> {
    visit.sees_records()?;
    let mut forms = forms_seen(visit)?;
    let order = visit.language().collator();
    forms.sort_by(|left, right| order.of(&left.title, &right.title));
    answer(&FormsPage { page: visit.page("forms", visit.language().words().forms), forms, exports: visit.exports().is_ok() })
}

/// People and what they may do.
pub fn people(visit: &Visit<'_>) -> Result<Response, Fault> {
    visit.administers()?;
    let mut people = visit.host().organisation.people()?;
    let order = visit.language().collator();
    people.sort_by(|left, right| left.disabled.cmp(&right.disabled).then_with(|| order.of(&left.name, &right.name)));
    answer(&PeoplePage { page: visit.page("people", visit.language().words().people), people })
}

/// Forms of the caseloads that this person may see, in the order in which they came.
pub fn forms_seen(visit: &Visit<'_>) -> Result<Vec<FormRow>, Fault> {
    let forms = visit.host().organisation.forms()?;
    Ok(forms.into_iter().filter(|form| visit.scope.sees(form.caseload_id)).collect())
}

/// Titles of forms by their identifiers, the newest version's.
pub fn titles(forms: &[FormRow]) -> BTreeMap<String, String> {
    forms.iter().map(|form| (form.form.clone(), form.title.clone())).collect()
}
