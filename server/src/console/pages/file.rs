//! A file that an answer refers to, for whoever may see the record: pictures, sounds and films to be looked at, the rest to be saved.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use karwan_proto::AttachmentName;

use crate::console::fault::Fault;
use crate::console::visit::Visit;
use crate::query;

/// What a browser may show by itself. Nothing that could hold a script is among it.
const SHOWN: [(&str, &str); 11] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];
/// Bytes that are read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// Whether a browser shows it as a picture.
pub fn is_picture(name: &AttachmentName) -> bool {
    SHOWN.iter().any(|(ending, kind)| *ending == name.ending() && kind.starts_with("image/"))
}

/// The file. Not found where no value of the record that these eyes may see refers to it, and where it has not come yet.
pub fn page(visit: &Visit<'_>, record: &str, name: &str) -> Result<Response, Fault> {
    visit.sees_records()?;
    let shown = query::show(visit.host(), &visit.scope, record)?;
    if !shown.values.values().flatten().any(|value| value.value == name) {
        return Err(Fault::NotFound);
    }
    let name: AttachmentName = name.parse().map_err(|_| Fault::NotFound)?;
    let organisation = &visit.host().organisation;
    let length = organisation.attachment_length(name.hash())?.ok_or(Fault::NotFound)?;
    let mut content = Vec::new();
    while (content.len() as u64) < length {
        let piece = organisation.attachment_piece(name.hash(), content.len() as u64, READ_BYTES)?;
        if piece.is_empty() {
            return Err(Fault::NotFound);
        }
        content.extend(piece);
    }
    let kind = SHOWN.iter().find(|(ending, _)| *ending == name.ending()).map(|(_, kind)| *kind);
    let mut answer = ([(CONTENT_TYPE, kind.unwrap_or("application/octet-stream"))], content).into_response();
    if kind.is_none()
        && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
    {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}
