//! The console: what supervisors and operators look at, as server-rendered pages that work without JavaScript.
//!
//! In: [`visit`] says who asks, [`door`] keeps the sessions. Each room of [`pages`] is one subject: it reads through
//! [`crate::query`], decides through [`crate::review`], and fills a template of `server/templates`. [`answers`] reads a record in its
//! form's words; [`words`] holds every text, [`say`] how numbers and times are said.

mod answers;
mod assets;
mod door;
mod fault;
mod page;
mod pages;
mod questions;
mod say;
mod visit;
mod words;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

use crate::host::Host;
use crate::problem::Problem;
use assets::Assets;
use door::Door;
use fault::{Fault, bare};
use visit::{Asked, Visit};

/// Largest form that is taken, in bytes.
const FORM_BYTES_MAX: usize = 256 * 1024;
/// Passwords that are checked at once: each takes 19 MiB and a core for a moment.
const SIGN_INS_AT_ONCE: usize = 2;
/// No script, style or font but our own, nothing around us, nothing sent elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What every page stands on.
pub(crate) struct Console {
    host: Arc<Host>,
    door: Door,
    assets: Assets,
    sign_ins: tokio::sync::Semaphore,
}

/// Names and values of a form or a query; of several with one name the last.
pub(crate) type Fields = BTreeMap<String, String>;

type Shared = State<Arc<Console>>;

/// Serves pages until `stopping` ends.
pub async fn serve(
    host: Arc<Host>,
    listener: tokio::net::TcpListener,
    stopping: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Problem> {
    let console =
        Console { host, door: Door::new(), assets: Assets::new(), sign_ins: tokio::sync::Semaphore::new(SIGN_INS_AT_ONCE) };
    let service = router(Arc::new(console)).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).with_graceful_shutdown(stopping).await?)
}

fn router(console: Arc<Console>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok" }))
        .route(
            "/assets/{name}",
            get(|State(console): Shared, Path(name): Path<String>| async move { console.assets.answer(&name) }),
        )
        .route("/language/{code}", get(pages::sign_in::language))
        .route("/sign-in", get(pages::sign_in::form).post(pages::sign_in::sign_in))
        .route(
            "/sign-out",
            post(|s: Shared, asked: Asked, Form(fields): Form<Fields>| decide(s, asked, fields, pages::sign_in::sign_out)),
        )
        .route("/", get(|s: Shared, asked: Asked| show(s, asked, pages::today::page)))
        .route(
            "/decide",
            get(|s: Shared, asked: Asked, Query(q): Query<Fields>| show(s, asked, move |visit| pages::decide::page(visit, &q))),
        )
        .route(
            "/decide/{item}",
            get(|s: Shared, asked: Asked, Path(id): Path<String>| show(s, asked, move |visit| pages::item::page(visit, &id)))
                .post(|s: Shared, asked: Asked, Path(id): Path<String>, Form(fields): Form<Fields>| {
                    decide(s, asked, fields, move |visit, fields| pages::item::decide(visit, &id, fields))
                }),
        )
        .route(
            "/records",
            get(|s: Shared, asked: Asked, Query(q): Query<Fields>| show(s, asked, move |visit| pages::records::page(visit, &q))),
        )
        .route(
            "/records/{id}",
            get(|s: Shared, asked: Asked, Path(id): Path<String>| show(s, asked, move |visit| pages::record::page(visit, &id)))
                .post(|s: Shared, asked: Asked, Path(id): Path<String>, Form(fields): Form<Fields>| {
                    decide(s, asked, fields, move |visit, fields| pages::record::review(visit, &id, fields))
                }),
        )
        .route(
            "/records/{id}/files/{name}",
            get(|s: Shared, asked: Asked, Path((id, name)): Path<(String, String)>| {
                show(s, asked, move |visit| pages::file::page(visit, &id, &name))
            }),
        )
        .route(
            "/csv/{form}",
            get(|s: Shared, asked: Asked, Path(form): Path<String>| show(s, asked, move |visit| pages::csv::page(visit, &form))),
        )
        .route(
            "/csv/{form}/{file}",
            get(|s: Shared, asked: Asked, Path((form, file)): Path<(String, String)>| {
                show(s, asked, move |visit| pages::csv::file(visit, &form, &file))
            }),
        )
        .route("/forms", get(|s: Shared, asked: Asked| show(s, asked, pages::organisation::forms)))
        .route("/people", get(|s: Shared, asked: Asked| show(s, asked, pages::organisation::people)))
        .route("/devices", get(|s: Shared, asked: Asked| show(s, asked, pages::devices::page)))
        .fallback(|State(console): Shared, asked: Asked| async move { Fault::NotFound.answer(&console, &asked) })
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn(headers))
        .with_state(console)
}

/// A page for somebody who is signed in. Pages read a database, so none is written where others wait.
async fn show(
    State(console): Shared,
    asked: Asked,
    work: impl FnOnce(&Visit<'_>) -> Result<Response, Fault> + Send + 'static,
) -> Response {
    let page = move || match Visit::of(&console, &asked).and_then(|visit| work(&visit)) {
        Ok(answer) => answer,
        Err(fault) => fault.answer(&console, &asked),
    };
    tokio::task::spawn_blocking(page).await.unwrap_or_else(|_| bare(StatusCode::INTERNAL_SERVER_ERROR))
}

/// What a form of ours asks for.
async fn decide(
    console: Shared,
    asked: Asked,
    fields: Fields,
    work: impl FnOnce(&Visit<'_>, &Fields) -> Result<Response, Fault> + Send + 'static,
) -> Response {
    show(console, asked, move |visit| {
        visit.check_token(fields.get("token").map_or("", String::as_str))?;
        work(visit, &fields)
    })
    .await
}

/// Headers that every answer has.
async fn headers(request: Request<axum::body::Body>, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    );
    answer
}
