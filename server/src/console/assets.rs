//! Style, script, icon and font: part of the program, served under names that change with their content, so that browsers keep them.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::fault::bare;

const STYLE: &str = include_str!("../../assets/console.css");
const SCRIPT: &str = include_str!("../../assets/console.js");
const ICON: &str = include_str!("../../assets/icon.svg");
/// Vazirmatn, variable, without Latin letters: those are the system's. Its licence lies beside it.
const FONT: &[u8] = include_bytes!("../../assets/vazirmatn.woff2");
/// Where the style names the font.
const FONT_PLACE: &str = "vazirmatn.woff2";

/// The files with their names.
pub struct Assets {
    style: String,
    style_name: String,
    script_name: String,
    icon_name: String,
    font_name: String,
}

impl Assets {
    /// Names them.
    pub fn new() -> Self {
        let font_name = named("vazirmatn", FONT, "woff2");
        let style = STYLE.replace(FONT_PLACE, &font_name);
        Self {
            style_name: named("console", style.as_bytes(), "css"),
            script_name: named("console", SCRIPT.as_bytes(), "js"),
            icon_name: named("icon", ICON.as_bytes(), "svg"),
            font_name,
            style,
        }
    }

    /// Path of the style.
    pub fn style(&self) -> String {
        format!("/assets/{}", self.style_name)
    }

    /// Path of the script.
    pub fn script(&self) -> String {
        format!("/assets/{}", self.script_name)
    }

    /// Path of the icon.
    pub fn icon(&self) -> String {
        format!("/assets/{}", self.icon_name)
    }

    /// One file.
    pub fn answer(&self, name: &str) -> Response {
        let (kind, content): (&'static str, Vec<u8>) = if name == self.style_name {
            ("text/css; charset=utf-8", self.style.clone().into_bytes())
        } else if name == self.script_name {
            ("text/javascript; charset=utf-8", SCRIPT.as_bytes().to_vec())
        } else if name == self.icon_name {
            ("image/svg+xml", ICON.as_bytes().to_vec())
        } else if name == self.font_name {
            ("font/woff2", FONT.to_vec())
        } else {
            return bare(StatusCode::NOT_FOUND);
        };
        let mut answer = ([(CONTENT_TYPE, kind)], content).into_response();
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        answer
    }
}

fn named(stem: &str, content: &[u8], ending: &str) -> String {
    let hash = blake3::hash(content).to_hex();
    format!("{stem}-{}.{ending}", hash.get(..16).unwrap_or_default())
}
