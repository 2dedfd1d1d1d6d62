//! `karwan device attach`, `save`, `free-space` and `data-saver`: files that answers refer to.

use std::fs::OpenOptions;
use std::path::Path;

use karwan_client::answer_file::place_of;
use karwan_client::{AttachmentName, ClientError, Collect, Device, Filling, Freed, Quiet, RecordId};
use serde_json::json;

use super::super::device_arguments::DeviceFolder;
use super::super::output::Answer;
use super::{open, record_of};
use crate::problem::Problem;

/// Opens a record, or the draft that it is or has.
fn collect(device: &Device, record: RecordId) -> Result<(Collect, bool), ClientError> {
    match device.edit(record, device.person()?, Filling::AtOnce) {
        Err(ClientError::DraftOpen(_)) => Ok((device.resume(record)?, true)),
        begun => Ok((begun?, false)),
    }
}

/// Answers a question with a file; a draft stays one.
pub(super) fn attach(folder: &DeviceFolder, record: &str, reference: &str, file: &Path) -> Result<Answer, Problem> {
    let device = open(folder)?;
    let (mut collect, is_draft) = collect(&device, record_of(record)?)?;
    let place = place_of(collect.interview(), reference, &[]).map_err(ClientError::from)?;
    let name = collect.attach(&place, file)?;
    let record = if is_draft { collect.keep_draft()? } else { collect.finalize()? };
    let value = json!({"record": record.to_string(), "attachment": name.to_string()});
    Ok(Answer::new(value, name.to_string()))
}

/// Writes the file that an answer refers to, fetching it first where it is not here.
pub(super) fn save(folder: &DeviceFolder, record: &str, reference: &str, file: &Path) -> Result<Answer, Problem> {
    let device = open(folder)?;
    let (collect, _) = collect(&device, record_of(record)?)?;
    let place = place_of(collect.interview(), reference, &[]).map_err(ClientError::from)?;
    let answer = collect.interview().node(&place).and_then(|node| node.value).unwrap_or_default();
    let name: AttachmentName = answer.parse().map_err(|_| {
        let error = format!("the answer to {reference} is no file");
        Problem::input("no-attachment", error, "See the answers: karwan device show DEV RECORD.")
    })?;
    if device.attachment(&name)?.is_none_or(|known| !known.whole) {
        device.want_attachment(&name)?;
        tokio::runtime::Runtime::new()?.block_on(device.sync(None, &Quiet))?;
        if device.attachment(&name)?.is_none_or(|known| !known.whole) {
            return Err(ClientError::AttachmentElsewhere(name.to_string()).into());
        }
    }
    let mut into = OpenOptions::new().create_new(true).write(true).open(file).map_err(|error| {
        let error = format!("{} cannot be written: {error}", file.display());
        Problem::input("unwritable", error, "Give the name of a file that does not exist yet.")
    })?;
    let bytes = device.read_attachment(&name, &mut into)?;
    into.sync_all()?;
    let text = format!("{bytes} bytes in {}", file.display());
    Ok(Answer::new(json!({"file": file, "attachment": name.to_string(), "bytes": bytes}), text))
}

/// Lets files go that are safe at the server.
pub(super) fn free_space(folder: &DeviceFolder, keep_bytes: u64) -> Result<Answer, Problem> {
    let Freed { attachments, bytes, left } = open(folder)?.free_space(keep_bytes)?;
    let mut text = format!("{attachments} files were let go, {bytes} bytes. Files take {} bytes now", left.bytes);
    if left.needed > 0 {
        text.push_str(&format!("; {} are not at the server yet or are needed here", left.needed));
    }
    if left.not_backed_up > 0 {
        text.push_str(&format!("; {} wait for a backup of the server", left.not_backed_up));
    }
    text.push('.');
    let value = json!({
        "freed": attachments, "freed_bytes": bytes, "bytes": left.bytes, "spare_bytes": left.spare_bytes, "needed": left.needed,
        "not_backed_up": left.not_backed_up,
    });
    Ok(Answer::new(value, text))
}

/// Shows or sets what a day may carry.
pub(super) fn data_saver(folder: &DeviceFolder, bytes: Option<&str>) -> Result<Answer, Problem> {
    let device = open(folder)?;
    match bytes {
        None => {}
        Some("off") => device.set_data_saver(None)?,
        Some(text) => {
            let bytes = text.parse().map_err(|_| {
                Problem::new(
                    Problem::USAGE,
                    "usage",
                    "expected a number of bytes, or off",
                    "karwan device data-saver DEV 5000000",
                )
            })?;
            device.set_data_saver(Some(bytes))?;
        }
    }
    let saver = device.data_saver()?;
    let text = saver.map_or_else(
        || "The data saver is off.".to_owned(),
        |saver| format!("{} bytes of attachments a day, {} left today.", saver.bytes_a_day, saver.left_today),
    );
    let value = json!({"bytes_a_day": saver.map(|saver| saver.bytes_a_day), "left_today": saver.map(|saver| saver.left_today)});
    Ok(Answer::new(value, text))
}
