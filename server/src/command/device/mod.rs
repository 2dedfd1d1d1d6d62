//! Commands of a field device: join, list, show, edit, sync; filling is in [`fill`] and [`question`], files are in [`attach`].

mod attach;
mod fill;
mod listen;
mod question;
mod sync;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_client::answer_file::place_of;
use karwan_client::query::ListQuery;
use karwan_client::{
    ClientError, Collect, Device, EnrolRequest, FileKey, Filling, Folder, RecordId, StoreError, SystemClock, Trouble, key_by_root,
};
use serde_json::{Value, json};

use super::device_arguments::{DeviceCommand, DeviceFolder, EditArguments};
use super::output::{Answer, hint, isolated, listed};
use super::records::{records_text, shown};
use super::terminal;
use crate::problem::Problem;

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let status = match error.trouble() {
            Trouble::Failed => Self::FAILED,
            Trouble::Input => Self::INPUT,
            Trouble::Refused => Self::REFUSED,
            Trouble::Unreachable => Self::UNREACHABLE,
            Trouble::Folder => Self::FOLDER,
        };
        Self::new(status, &error.code(), error.to_string(), error.mend())
    }
}

/// A field device's command.
pub(super) fn run(command: DeviceCommand, json: bool) -> Result<Answer, Problem> {
    match command {
        DeviceCommand::Enrol { device, invitation, name, person } => enrol(&device, invitation, name, person),
        DeviceCommand::Forms { device } => forms(&device),
        DeviceCommand::Fill(arguments) => fill::fill(&arguments, json),
        DeviceCommand::Finalize { device, record } => finalize(&device, &record),
        DeviceCommand::Discard { device, record } => {
            open(&device)?.discard(draft_of(&record)?)?;
            Ok(Answer::new(json!({"discarded": record}), "The draft is gone."))
        }
        DeviceCommand::Edit(arguments) => edit(&arguments),
        DeviceCommand::List { device, search, mine, kind } => {
            let entities = kind.map(|kind| kind == "entity");
            let query = ListQuery { search: search.unwrap_or_default(), mine, entities, ..ListQuery::default() };
            let value = serde_json::to_value(open(&device)?.list(&query)?)?;
            let text = records_text(&value, "Interview somebody (karwan device fill DEV FORM), or sync: karwan device sync DEV.");
            Ok(Answer::new(value, text))
        }
        DeviceCommand::Show { device, record } => {
            let value = serde_json::to_value(open(&device)?.show(&record)?)?;
            let text = shown(&value);
            Ok(Answer::new(value, text))
        }
        DeviceCommand::Sync { device, with, metered, tries } => sync::sync(&device, with.as_deref(), metered, tries, json),
        DeviceCommand::DataSaver { device, bytes } => attach::data_saver(&device, bytes.as_deref()),
        DeviceCommand::FreeSpace { device, keep } => attach::free_space(&device, keep),
        DeviceCommand::Attach { device, record, reference, file } => attach::attach(&device, &record, &reference, &file),
        DeviceCommand::Save { device, record, reference, file } => attach::save(&device, &record, &reference, &file),
        DeviceCommand::Listen { device, listen, address, minutes, many } => {
            listen::listen(&device, &listen::Listen { at: listen, addresses: address, minutes, many }, json)
        }
        DeviceCommand::Recover { device, root_key } => recover(&device, &root_key),
        DeviceCommand::Wipe { device, force } => {
            open(&device)?.wipe(&key_of(&device), force)?;
            Ok(Answer::new(json!({"wiped": device.folder}), "Everything of this device is gone, its key too."))
        }
    }
}

fn key_of(device: &DeviceFolder) -> FileKey {
    let named = device.key_file.clone().or_else(|| std::env::var_os("KARWAN_KEY_FILE").map(PathBuf::from));
    named.map_or_else(|| FileKey::beside(&device.folder), FileKey::new)
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock { offset_minutes: terminal::offset_minutes() })
}

/// Opens a device, waiting for its folder.
fn open(device: &DeviceFolder) -> Result<Device, Problem> {
    let opened = Device::open(Folder::new(&device.folder), &key_of(device), clock())?;
    if opened.salvaged().is_some() {
        hint("The database was damaged. It is kept beside the new one, and everything that could be read is in the new one.");
    }
    Ok(opened)
}

/// Writes the key file of a device again.
fn recover(device: &DeviceFolder, root_key: &Path) -> Result<Answer, Problem> {
    let not_root = || {
        let error = format!("{} is not the root key of this device's organisation", root_key.display());
        Problem::refused("not-the-root", error, "Give the file that karwan init made, ORG-root.key.")
    };
    let text = std::fs::read_to_string(root_key)?;
    let seed: karwan_proto::Hash = text.trim().parse().map_err(|_| not_root())?;
    let key_file = key_of(device);
    if key_file.path().exists() {
        let error = format!("{} exists", key_file.path().display());
        return Err(Problem::input("exists", error, "Move it away if it does not open this device."));
    }
    let root = karwan_proto::SigningKey::from_seed(&seed.0);
    let key = key_by_root(&Folder::new(&device.folder), &root).map_err(|error| match error {
        StoreError::WrongKey => not_root(),
        other => ClientError::from(other).into(),
    })?;
    key_file.keep(&key).map_err(|error| ClientError::from(StoreError::from(error)))?;
    let value = json!({"key_file": key_file.path()});
    Ok(Answer::new(value, format!("The device's key is in {} again.", key_file.path().display())))
}

/// How a device is named in a command to go on with.
fn named(folder: &Path) -> String {
    let text = folder.display().to_string();
    if text.contains(' ') { format!("'{text}'") } else { text }
}

fn enrol(device: &DeviceFolder, invitation: String, name: String, person: Option<String>) -> Result<Answer, Problem> {
    let key = key_of(device);
    let (key_path, had_key) = (key.path().to_path_buf(), key.path().exists());
    let request =
        EnrolRequest { folder: Folder::new(&device.folder), key: Arc::new(key), clock: clock(), invitation, name, person };
    let enrolled = tokio::runtime::Runtime::new()?.block_on(Device::enrol(request))?;
    if !had_key {
        hint(&format!("The device's key is in {}. Without it nothing on this device can be read.", key_path.display()));
    }
    let organisation = enrolled.organisation_name()?;
    let code = enrolled.short_code()?;
    let value = json!({
        "device": enrolled.id().to_string(), "organisation": organisation, "key_file": key_path, "short_code": code,
    });
    let mut text = format!("This device belongs to {}.", isolated(&organisation));
    if let Some(code) = code {
        text.push_str(&format!(
            "\nCode: {code}. Read it to the administrator: karwan devices ORG must show the same one, else revoke the device."
        ));
    }
    text.push_str(&format!("\nNext: karwan device sync {}", named(&device.folder)));
    Ok(Answer::new(value, text))
}

fn forms(device: &DeviceFolder) -> Result<Answer, Problem> {
    let rows = open(device)?.forms()?.into_iter().map(|form| {
        json!({
            "form": form.form, "version": form.version, "title": form.title, "languages": form.languages,
            "caseload": form.caseload_name, "hash": form.hash.to_string(), "ready": form.ready,
        })
    });
    let value: Value = rows.collect();
    let columns = [
        ("form", "FORM"),
        ("version", "VERSION"),
        ("title", "TITLE"),
        ("languages", "LANGUAGES"),
        ("caseload", "CASELOAD"),
        ("ready", "READY"),
    ];
    let text = listed(&value, &columns, "forms", "They come with a sync: karwan device sync DEV.");
    Ok(Answer::new(value, text))
}

/// The identifier of a record that must be here.
fn record_of(text: &str) -> Result<RecordId, ClientError> {
    text.parse().map_err(|_| ClientError::NoSuchRecord(text.to_owned()))
}

fn draft_of(text: &str) -> Result<RecordId, ClientError> {
    text.parse().map_err(|_| ClientError::NotADraft(text.to_owned()))
}

fn written(record: RecordId) -> Answer {
    Answer::new(json!({"record": record.to_string()}), record.to_string())
}

fn finalize(device: &DeviceFolder, record: &str) -> Result<Answer, Problem> {
    let mut collect = open(device)?.resume(draft_of(record)?)?;
    Ok(written(collect.finalize()?))
}

fn edit(arguments: &EditArguments) -> Result<Answer, Problem> {
    let device = open(&arguments.device)?;
    let record = record_of(&arguments.record)?;
    let person = device.person_called(arguments.person.as_deref())?;
    let mut collect = match device.edit(record, person, Filling::AtOnce) {
        // An unfinished edit or interview is gone on with only where it stays one.
        Err(ClientError::DraftOpen(_)) if arguments.draft => device.resume(record)?,
        begun => begun?,
    };
    change(&mut collect, arguments)?;
    let record = if arguments.draft { collect.keep_draft()? } else { collect.finalize()? };
    Ok(written(record))
}

/// Instances are added first and removed last, so that every position is one before the edit.
fn change(collect: &mut Collect, arguments: &EditArguments) -> Result<(), Problem> {
    let mut removed = Vec::new();
    for instance in &arguments.remove {
        removed.push(collect.interview().node(instance).map_or_else(|| instance.clone(), |node| node.place));
    }
    for repeat in &arguments.add {
        collect.add(repeat)?;
    }
    for set in &arguments.set {
        let (reference, value) = set.split_once('=').ok_or_else(|| {
            Problem::new(
                Problem::USAGE,
                "usage",
                "--set has no =",
                "Write --set REF=VALUE; nothing after the = empties the answer.",
            )
        })?;
        let place = place_of(collect.interview(), reference.trim(), &[]).map_err(ClientError::from)?;
        collect.set(&place, value)?;
    }
    for instance in &removed {
        collect.remove(instance)?;
    }
    Ok(())
}
