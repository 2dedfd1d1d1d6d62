//! Why a page cannot be shown, and what is shown instead.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Console;
use super::page::{Page, answer_with, encoded, go_to};
use super::visit::{Asked, Visit};
use super::words::Words;
use crate::problem::Problem;

/// Why a page cannot be shown.
#[derive(Debug)]
pub enum Fault {
    /// Nobody is signed in.
    SignIn,
    /// This person may not.
    Forbidden(Forbidden),
    /// There is nothing here.
    NotFound,
    /// The item is decided, or it is another one by now.
    Gone,
    /// The form is of an older session.
    Expired,
    /// A page could not be written.
    Template,
    /// Something below failed.
    Problem(Problem),
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    Operator,
    Administrator,
    Decide,
    Export,
    Caseload,
}

impl From<Forbidden> for Fault {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        match (problem.code.as_str(), problem.status) {
            ("no-such-item", _) => Self::Gone,
            (code, _) if code.starts_with("no-such-") => Self::NotFound,
            (_, Problem::REFUSED) => Self::Forbidden(Forbidden::Caseload),
            _ => Self::Problem(problem),
        }
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    page: Page,
    lead: &'static str,
    code: String,
    back: &'static str,
}

impl Fault {
    /// What is shown instead of the page.
    pub fn answer(self, console: &Console, asked: &Asked) -> Response {
        let words = asked.language.words();
        let (status, title, lead, code) = match self {
            Self::SignIn => return go_to(&format!("/sign-in?next={}", encoded(&asked.path))),
            Self::NotFound => (StatusCode::NOT_FOUND, words.not_found, words.not_found_lead, String::new()),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, words.forbidden, why.said(words), String::new()),
            Self::Gone => (StatusCode::CONFLICT, words.item_gone, words.item_gone_lead, String::new()),
            Self::Expired => (StatusCode::FORBIDDEN, words.form_expired, "", String::new()),
            Self::Template => (StatusCode::INTERNAL_SERVER_ERROR, words.failed, words.failed_lead, "page".to_owned()),
            Self::Problem(problem) => {
                tracing::error!(code = problem.code, error = problem.error, "a page failed");
                (StatusCode::INTERNAL_SERVER_ERROR, words.failed, words.failed_lead, problem.code)
            }
        };
        let page = match Visit::of(console, asked) {
            Ok(visit) => visit.page("", title),
            Err(_) => Page::new(console, asked, "", title),
        };
        let back = if page.person.is_empty() || page.sees_records { "/" } else { "/devices" };
        answer_with(status, &FaultPage { page, lead, code, back }).unwrap_or_else(|_| bare(status))
    }
}

impl Forbidden {
    fn said(self, words: &Words) -> &'static str {
        match self {
            Self::Operator => words.forbidden_operator,
            Self::Administrator => words.forbidden_administrator,
            Self::Decide => words.forbidden_decide,
            Self::Export => words.forbidden_export,
            Self::Caseload => words.forbidden_caseload,
        }
    }
}

/// An answer where even a page about the fault cannot be written.
pub fn bare(status: StatusCode) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], status.canonical_reason().unwrap_or("error")).into_response()
}
