//! The door's pages: sign in, sign out, and the language, which is chosen before anybody is known.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::clock::{now_ms, random};
use crate::console::door::SIGN_IN_BYTES_MAX;
use crate::console::fault::{Fault, bare};
use crate::console::page::{Page, answer_with, go_to, safe_path};
use crate::console::visit::{Asked, LANGUAGE_COOKIE, SESSION_COOKIE, VISITOR_COOKIE, Visit};
use crate::console::words::fill;
use crate::console::{Console, Fields};
use crate::organisation::hex;

/// How long a language is remembered, in seconds.
const LANGUAGE_SECONDS: u32 = 365 * 24 * 60 * 60;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    page: Page,
    next: String,
    name: String,
    /// What was wrong, or that somebody has signed out.
    message: String,
    is_error: bool,
}

/// The empty form.
pub async fn form(State(console): State<Arc<Console>>, asked: Asked, Query(query): Query<Fields>) -> Response {
    let next = query.get("next").map_or("/", |next| safe_path(next)).to_owned();
    let message = if query.contains_key("out") { asked.language.words().signed_out } else { "" };
    shown(&console, &asked, StatusCode::OK, &next, "", message, false)
}

fn shown(
    console: &Console,
    asked: &Asked,
    status: StatusCode,
    next: &str,
    name: &str,
    message: &str,
    is_error: bool,
) -> Response {
    let mut page = Page::new(console, asked, "sign-in", asked.language.words().sign_in);
    // The form's own address has no use for the switch of languages after it was sent.
    page.path = format!("/sign-in?next={}", page.link(next));
    let visitor = asked.visitor.clone().unwrap_or_else(|| hex(&random::<32>()));
    page.token = console.door.token(&visitor);
    let template = SignInPage { page, next: next.to_owned(), name: name.to_owned(), message: message.to_owned(), is_error };
    let answer = answer_with(status, &template).unwrap_or_else(|_| bare(StatusCode::INTERNAL_SERVER_ERROR));
    with_cookie(answer, &asked.cookie(VISITOR_COOKIE, &visitor, None))
}

/// Somebody tries to come in. A name that is not there and a wrong password look and take the same.
pub async fn sign_in(State(console): State<Arc<Console>>, asked: Asked, Form(fields): Form<Fields>) -> Response {
    let field = |name: &str| fields.get(name).map_or("", String::as_str).to_owned();
    let (name, password) = (field("name").trim().to_owned(), field("password"));
    let (next, token) = (field("next"), field("token"));
    let next = safe_path(&next).to_owned();
    let words = asked.language.words();
    let again = |status, message: &str| shown(&console, &asked, status, &next, &name, message, true);
    if !asked.visitor.as_deref().is_some_and(|visitor| console.door.is_token(visitor, &token)) {
        return again(StatusCode::FORBIDDEN, words.form_expired);
    }
    if name.len() > SIGN_IN_BYTES_MAX || password.len() > SIGN_IN_BYTES_MAX {
        return again(StatusCode::UNAUTHORIZED, words.wrong_sign_in);
    }
    if let Some(minutes) = console.door.wait_minutes(&name, asked.address, now_ms()) {
        let message = fill(words.too_many_attempts, "{n}", &asked.language.number(minutes));
        return again(StatusCode::TOO_MANY_REQUESTS, &message);
    }
    // Counted before the password is looked at: attempts that run side by side must not all pass the count.
    console.door.failed(&name, asked.address, now_ms());
    let Ok(_permit) = console.sign_ins.acquire().await else { return bare(StatusCode::SERVICE_UNAVAILABLE) };
    let (checking, given) = (console.clone(), name.clone());
    let outcome = tokio::task::spawn_blocking(move || checking.host.organisation.sign_in(&given, &password)).await;
    match outcome {
        Ok(Ok(Some((person, _)))) => {
            console.door.succeeded(&name, asked.address);
            if let Some(earlier) = &asked.session {
                console.door.leave(earlier);
            }
            let secret = console.door.enter(person, now_ms());
            with_cookie(go_to(&next), &asked.cookie(SESSION_COOKIE, &secret, None))
        }
        Ok(Ok(None)) => again(StatusCode::UNAUTHORIZED, words.wrong_sign_in),
        Ok(Err(problem)) => Fault::from(problem).answer(&console, &asked),
        Err(_) => bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Somebody leaves.
#[expect(clippy::unnecessary_wraps, reason = "every form is answered by such a function")]
pub fn sign_out(visit: &Visit<'_>, _: &Fields) -> Result<Response, Fault> {
    visit.leave();
    Ok(with_cookie(go_to("/sign-in?out=1"), &visit.asked.cookie(SESSION_COOKIE, "", Some(0))))
}

/// Another language, and back to the page.
pub async fn language(asked: Asked, Path(code): Path<String>, Query(query): Query<Fields>) -> Response {
    let Some(language) = crate::console::say::Language::of_code(&code) else { return bare(StatusCode::NOT_FOUND) };
    let back = query.get("back").map_or("/", |back| safe_path(back));
    with_cookie(go_to(back), &asked.cookie(LANGUAGE_COOKIE, language.code(), Some(LANGUAGE_SECONDS)))
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(SET_COOKIE, value);
    }
    answer
}
