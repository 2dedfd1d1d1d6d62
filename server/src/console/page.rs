//! The frame of every page: language, navigation, who is here, and how a page becomes an answer.

use std::fmt::Display;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};

use super::Console;
use super::fault::Fault;
use super::say::{Isolated, Language, Moment};
use super::visit::Asked;
use super::words::Words;

/// What every template has as `page`.
pub struct Page {
    pub language: Language,
    pub words: &'static Words,
    pub title: String,
    /// Which entry of the navigation this is.
    pub here: &'static str,
    /// Path and query of this page, for the switch of languages.
    pub path: String,
    pub organisation: String,
    pub style: String,
    pub script: String,
    pub icon: String,
    /// Name of who is signed in; empty where nobody is.
    pub person: String,
    pub role: String,
    /// What every form carries.
    pub token: String,
    pub sees_records: bool,
    pub decides: bool,
    pub administers: bool,
}

impl Page {
    /// A frame for whoever comes.
    pub fn new(console: &Console, asked: &Asked, here: &'static str, title: &str) -> Self {
        Self {
            language: asked.language,
            words: asked.language.words(),
            title: title.to_owned(),
            here,
            path: asked.path.clone(),
            organisation: console.host.organisation.name(),
            style: console.assets.style(),
            script: console.assets.script(),
            icon: console.assets.icon(),
            person: String::new(),
            role: String::new(),
            token: String::new(),
            sees_records: false,
            decides: false,
            administers: false,
        }
    }

    /// A number of the interface's own.
    pub fn number(&self, number: impl Display) -> String {
        self.language.number(number)
    }

    /// A value between words, isolated.
    #[expect(clippy::unused_self, reason = "templates ask the page for everything")]
    pub fn value(&self, text: impl AsRef<str>) -> Isolated {
        Isolated::new(text.as_ref())
    }

    /// A stored time as the clock of whoever was there showed it.
    pub fn moment(&self, time: impl AsRef<str>, offset: impl AsRef<str>) -> Moment {
        self.language.moment(time.as_ref(), offset.as_ref())
    }

    /// A text of the path of a link.
    #[expect(clippy::unused_self, reason = "templates ask the page for everything")]
    pub fn link(&self, text: impl AsRef<str>) -> String {
        encoded(text.as_ref())
    }
}

/// A text as part of a path or query.
pub fn encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// A page as an answer.
pub fn answer(template: &impl Template) -> Result<Response, Fault> {
    answer_with(StatusCode::OK, template)
}

/// A page as an answer with a status.
pub fn answer_with(status: StatusCode, template: &impl Template) -> Result<Response, Fault> {
    let html = template.render().map_err(|_| Fault::Template)?;
    Ok((status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// The way to another page.
pub fn go_to(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path.to_owned())]).into_response()
}

/// A path of ours that a link came with; the first page where it leads elsewhere.
pub fn safe_path(path: &str) -> &str {
    let ours = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']) && path.is_ascii();
    if ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_never_leads_to_another_site() {
        assert_eq!(safe_path("/decide/12?x=1"), "/decide/12?x=1");
        for path in ["//evil.example", "https://evil.example", "/\\evil.example", "", "evil", "/a\r\nb"] {
            assert_eq!(safe_path(path), "/", "{path}");
        }
    }

    #[test]
    fn what_is_no_letter_is_encoded_in_a_link() {
        assert_eq!(encoded("a b/é?"), "a%20b%2F%C3%A9%3F");
    }
}
