//! What an app shows: forms, lines of lists, one record with where each value is from, and what a sync did. Plain values.

use karwan_client::query::{ShownEvent, ShownItem, ShownValue as ClientValue};
use karwan_client::{AttachmentState, FormListed, Freed, Over, RecordListed, RecordShown, Salvaged, SyncReport};

/// A form that may be filled here.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FormSummary {
    /// By this it is started.
    pub id: String,
    /// Its newest version.
    pub version: String,
    /// What people call it.
    pub title: String,
    /// Its languages, the default one first.
    pub languages: Vec<String>,
    /// Its caseload.
    pub caseload: String,
    /// The caseload's name.
    pub caseload_name: String,
    /// Definition and media are here.
    pub ready: bool,
}

impl From<FormListed> for FormSummary {
    fn from(form: FormListed) -> Self {
        Self {
            id: form.form,
            version: form.version,
            title: form.title,
            languages: form.languages,
            caseload: form.caseload.to_string(),
            caseload_name: form.caseload_name,
            ready: form.ready,
        }
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RecordSummary {
    /// The record's or entity's identifier.
    pub record: String,
    /// `interview` or `entity`.
    pub kind: String,
    /// An interview's form.
    pub form: Option<String>,
    /// An entity's list.
    pub list: Option<String>,
    /// What it is called.
    pub title: String,
    /// `draft`, `finalised`, `sent`, `returned`, `approved`.
    pub status: String,
    /// Whom it is assigned to.
    pub assigned_to: Option<String>,
    /// Who made it.
    pub made_by: Option<String>,
    /// Its caseload's name.
    pub caseload: String,
    /// Last change, RFC 3339 in UTC.
    pub updated: String,
    /// Offset of the clock that said so, as `+03:30`.
    pub offset: String,
    /// What nobody has decided yet.
    pub open_items: u32,
    /// Something of it came from another phone and waits for the server's verdict.
    pub provisional: bool,
}

impl From<RecordListed> for RecordSummary {
    fn from(row: RecordListed) -> Self {
        Self {
            record: row.record,
            kind: row.kind.to_owned(),
            form: row.form,
            list: row.list,
            title: row.title,
            status: row.status.to_owned(),
            assigned_to: row.assigned_to,
            made_by: row.made_by,
            caseload: row.caseload,
            updated: row.updated,
            offset: row.offset,
            open_items: row.open_items,
            provisional: row.provisional,
        }
    }
}

/// One value with where it is from.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ShownValue {
    /// The value.
    pub value: String,
    /// The device's name.
    pub device: String,
    /// The person's name.
    pub author: String,
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// Offset of the clock that said so.
    pub offset: String,
}

impl From<ClientValue> for ShownValue {
    fn from(value: ClientValue) -> Self {
        Self { value: value.value, device: value.device, author: value.author, time: value.time, offset: value.offset }
    }
}

/// One question of a record, or property of an entity.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ShownQuestion {
    /// The question's path, or the property's name.
    pub reference: String,
    /// The first is the one shown; more than one is a conflict.
    pub values: Vec<ShownValue>,
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct HistoryLine {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// Offset of the clock that said so.
    pub offset: String,
    /// The device's name.
    pub device: String,
    /// The person's name.
    pub author: String,
    /// What happened.
    pub what: String,
    /// Why, where somebody said.
    pub note: String,
    /// The interview behind it, of an entity.
    pub record: Option<String>,
}

impl From<ShownEvent> for HistoryLine {
    fn from(event: ShownEvent) -> Self {
        Self {
            time: event.time,
            offset: event.offset,
            device: event.device,
            author: event.author,
            what: event.what,
            note: event.note,
            record: event.record,
        }
    }
}

/// Something that a person must decide.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OpenItem {
    /// The same on every device.
    pub item: String,
    /// The record or entity.
    pub record: String,
    /// What that is called.
    pub title: String,
    /// `conflict`, `invalid`, ….
    pub kind: String,
    /// The question or property.
    pub reference: String,
    /// The values between which to decide.
    pub values: Vec<ShownValue>,
    /// Since when.
    pub since: String,
}

/// A record or entity with all that is known of it here.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RecordDetail {
    /// Its identifier.
    pub record: String,
    /// `interview` or `entity`.
    pub kind: String,
    /// An interview's form.
    pub form: Option<String>,
    /// An entity's list.
    pub list: Option<String>,
    /// What it is called.
    pub title: String,
    /// As in lists.
    pub status: String,
    /// Something of it came from another phone and waits for the server's verdict.
    pub provisional: bool,
    /// Why it was sent back, where it was.
    pub returned: Option<String>,
    /// What was answered.
    pub questions: Vec<ShownQuestion>,
    /// What happened, oldest first.
    pub history: Vec<HistoryLine>,
    /// What nobody has decided yet.
    pub items: Vec<OpenItem>,
}

impl From<RecordShown> for RecordDetail {
    fn from(shown: RecordShown) -> Self {
        let item = |item: ShownItem| OpenItem {
            item: item.item,
            record: shown.record.clone(),
            title: shown.title.clone(),
            kind: item.kind,
            reference: item.reference,
            values: values(item.values),
            since: item.since,
        };
        let questions = shown.values.into_iter().map(|(reference, held)| ShownQuestion { reference, values: values(held) });
        Self {
            items: shown.items.into_iter().map(item).collect(),
            questions: questions.collect(),
            record: shown.record,
            kind: shown.kind.to_owned(),
            form: shown.form,
            list: shown.list,
            title: shown.title,
            status: shown.status.to_owned(),
            provisional: shown.provisional,
            returned: shown.returned,
            history: shown.history.into_iter().map(HistoryLine::from).collect(),
        }
    }
}

fn values(held: Vec<ClientValue>) -> Vec<ShownValue> {
    held.into_iter().map(ShownValue::from).collect()
}

/// An envelope of which something was refused; what was in it is kept.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RefusedEnvelope {
    /// Its name.
    pub envelope: String,
    /// Why.
    pub reason: String,
}

/// How far a file is that an answer refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Attachment {
    /// Its length in bytes; unknown until it begins to come.
    pub length: Option<u64>,
    /// Bytes of it that are here.
    pub held: u64,
    /// All of it is here.
    pub whole: bool,
    /// The server said to have it.
    pub at_server: bool,
}

impl From<AttachmentState> for Attachment {
    fn from(state: AttachmentState) -> Self {
        let AttachmentState { length, held, whole, at_server } = state;
        Self { length, held, whole, at_server }
    }
}

/// What the data saver allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct DataSaver {
    /// Bytes of attachments in a day (UTC), both ways together.
    pub bytes_a_day: u64,
    /// What is left of that today.
    pub left_today: u64,
}

impl From<karwan_client::DataSaver> for DataSaver {
    fn from(saver: karwan_client::DataSaver) -> Self {
        Self { bytes_a_day: saver.bytes_a_day, left_today: saver.left_today }
    }
}

/// What was let go to free space, and what attachments take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct FreedSpace {
    /// How many attachments went.
    pub attachments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of those that are here now.
    pub bytes_left: u64,
    /// Bytes of those that could still go.
    pub spare_bytes: u64,
    /// How many are not at the server yet, or are needed here.
    pub needed: u64,
    /// How many wait for a backup of the server alone.
    pub not_backed_up: u64,
}

impl From<Freed> for FreedSpace {
    fn from(freed: Freed) -> Self {
        Self {
            attachments: freed.attachments,
            bytes: freed.bytes,
            bytes_left: freed.left.bytes,
            spare_bytes: freed.left.spare_bytes,
            needed: freed.left.needed,
            not_backed_up: freed.left.not_backed_up,
        }
    }
}

/// What a sync runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SyncWay {
    /// QUIC.
    Quic,
    /// TCP and TLS.
    Tcp,
}

impl From<Over> for SyncWay {
    fn from(over: Over) -> Self {
        match over {
            Over::Quic => Self::Quic,
            Over::Tcp => Self::Tcp,
        }
    }
}

/// What a sync did and cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct SyncSummary {
    /// How often the device waited for an answer.
    pub round_trips: u32,
    /// Bytes of frames sent.
    pub bytes_up: u64,
    /// Bytes of frames received.
    pub bytes_down: u64,
    /// Envelopes that became durable at the server.
    pub envelopes_up: u64,
    /// Envelopes that came.
    pub envelopes_down: u64,
    /// Changes sent.
    pub changes_up: u64,
    /// Changes that came.
    pub changes_down: u64,
    /// Attachments that the server has now and had not.
    pub attachments_up: u64,
    /// Attachments that are here now and were not.
    pub attachments_down: u64,
    /// Attachments that wait for a later sync.
    pub attachments_waiting: u64,
    /// What this sync brought for a person to decide.
    pub conflicts: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// The phone that it was with; nothing for a server.
    pub met: Option<String>,
    /// What it ran over in turn: TCP where the network lets no UDP through, or stopped doing so.
    pub ways: Vec<SyncWay>,
    /// How often the phone was in another network while it ran.
    pub network_changes: u64,
    /// What the server refused; it is kept here and stays visible as unsent.
    pub refused: Vec<RefusedEnvelope>,
    /// What came and this device does not take: kept, not shown.
    pub not_applied: Vec<RefusedEnvelope>,
    /// How far the server's clock is ahead of this phone's, where that matters: somebody should set the phone's clock.
    pub clock_ahead_ms: Option<i64>,
    /// Forms that are new here.
    pub forms: u64,
    /// The server was restored and gives nothing out until its recovery is closed.
    pub recovering: bool,
    /// Edits that are on this phone alone until a server has told everything it has: the phone's database was put back or copied, or the phone was
    /// stopped while it saved.
    pub kept_back: u64,
    /// Another copy of this phone's database has synced with the same key: tell the person, and the administrator.
    pub copied: bool,
}

impl From<SyncReport> for SyncSummary {
    fn from(report: SyncReport) -> Self {
        let refusals = |refused: Vec<karwan_client::RefusedEnvelope>| {
            refused.into_iter().map(|one| RefusedEnvelope { envelope: one.envelope, reason: one.reason }).collect()
        };
        Self {
            round_trips: u32::try_from(report.round_trips).unwrap_or(u32::MAX),
            bytes_up: report.bytes_up,
            bytes_down: report.bytes_down,
            attachments_up: report.attachments.up,
            attachments_down: report.attachments.down,
            attachments_waiting: report.attachments.waiting,
            envelopes_up: report.envelopes_up,
            envelopes_down: report.envelopes_down,
            changes_up: report.changes_up,
            changes_down: report.changes_down,
            conflicts: report.conflicts,
            duration_ms: report.ms,
            met: report.with,
            ways: report.ways.into_iter().map(SyncWay::from).collect(),
            network_changes: report.network_changes,
            refused: refusals(report.refused),
            not_applied: refusals(report.not_applied),
            clock_ahead_ms: report.clock_ahead_ms,
            forms: report.forms,
            recovering: report.recovering,
            kept_back: report.kept_back,
            copied: report.copied || report.copy_in_use,
        }
    }
}

/// What was saved when the database was found damaged. The damaged file is kept.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Salvage {
    /// Folder of the damaged file.
    pub kept_in: String,
    /// Rows saved.
    pub rows_saved: u64,
    /// Rows that were there and could not be read.
    pub rows_lost: u64,
}

impl From<&Salvaged> for Salvage {
    fn from(salvaged: &Salvaged) -> Self {
        Self {
            kept_in: salvaged.kept_in.display().to_string(),
            rows_saved: salvaged.rows_saved as u64,
            rows_lost: salvaged.rows_lost as u64,
        }
    }
}
