//! What a sync tells while it runs and when it ends.

use serde::{Deserialize, Serialize};

/// Part of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reaching the server.
    Connecting,
    /// Sending what is unsent.
    Sending,
    /// Taking in what is new.
    Receiving,
    /// Fetching forms and media.
    Fetching,
    /// Carrying attachments; the records are at the server.
    Carrying,
    /// Over.
    Done,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Envelopes that are durable at the server.
    pub envelopes_up: u64,
    /// Envelopes taken in.
    pub envelopes_down: u64,
    /// Bytes of frames sent.
    pub bytes_up: u64,
    /// Bytes of frames received.
    pub bytes_down: u64,
    /// Bytes of attachments sent, those that were there before not counted.
    pub attachment_bytes_up: u64,
    /// Bytes of attachments that came.
    pub attachment_bytes_down: u64,
}

impl Progress {
    /// Nothing counted yet.
    pub fn at(phase: Phase) -> Self {
        Self {
            phase,
            envelopes_up: 0,
            envelopes_down: 0,
            bytes_up: 0,
            bytes_down: 0,
            attachment_bytes_up: 0,
            attachment_bytes_down: 0,
        }
    }
}

/// Hears how far a sync is, and can end it.
pub trait Listener: Send + Sync {
    /// Told often; `false` ends the sync. What was done by then is kept and not repeated.
    fn progress(&self, progress: &Progress) -> bool;
}

/// Hears nothing and ends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Listener for Quiet {
    fn progress(&self, _: &Progress) -> bool {
        true
    }
}

/// An envelope of which something was refused: by the server, or by this device's own gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedEnvelope {
    /// Its name.
    pub envelope: String,
    /// Why.
    pub reason: String,
}

/// Attachments that a sync carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// How many the server has now that it had not.
    #[serde(rename = "attachments_up")]
    pub up: u64,
    /// How many are here now that were not.
    #[serde(rename = "attachments_down")]
    pub down: u64,
    /// Bytes of them sent.
    #[serde(rename = "attachment_bytes_up")]
    pub bytes_up: u64,
    /// Bytes of them that came.
    #[serde(rename = "attachment_bytes_down")]
    pub bytes_down: u64,
    /// How many the server declined for good; they stay here.
    #[serde(rename = "attachments_declined")]
    pub declined: u64,
    /// How many wait for a later sync.
    #[serde(rename = "attachments_waiting")]
    pub waiting: u64,
    /// Bytes of frames sent for them.
    #[serde(skip)]
    pub frame_bytes_up: u64,
    /// Bytes of frames that came for them.
    #[serde(skip)]
    pub frame_bytes_down: u64,
}

/// What a sync ran over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// QUIC.
    Quic,
    /// TCP and TLS: the network lets no UDP through, or answers sooner over TCP.
    Tcp,
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Quic => "QUIC",
            Self::Tcp => "TCP",
        })
    }
}

/// What a sync did and cost, over all its tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// How often the device waited for an answer.
    pub round_trips: u64,
    /// Bytes of frames sent.
    pub bytes_up: u64,
    /// Bytes of frames received.
    pub bytes_down: u64,
    /// Envelopes that became durable at the server.
    pub envelopes_up: u64,
    /// Envelopes that came.
    pub envelopes_down: u64,
    /// Changes in the envelopes sent.
    pub changes_up: u64,
    /// Changes in the envelopes that came.
    pub changes_down: u64,
    /// Attachments that went and came.
    #[serde(flatten)]
    pub attachments: Carried,
    /// Review items that this sync brought.
    pub conflicts: u64,
    /// How long it took.
    pub ms: u64,
    /// What it ran over, at last; `None` for streams that the caller made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// What it ran over in turn, where that changed.
    #[serde(skip_serializing_if = "is_one_way")]
    pub ways: Vec<Over>,
    /// How often the device was in another network while it ran.
    pub network_changes: u64,
    /// The device that it was with, by its name where that is known; `None` for a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// What was refused; it is kept.
    pub refused: Vec<RefusedEnvelope>,
    /// What came and does not pass this device's own gate: kept, not applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_applied: Vec<RefusedEnvelope>,
    /// How far the server's clock is ahead of this device's, in milliseconds, where it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
    /// Forms that are new on this device.
    #[serde(skip)]
    pub forms: u64,
    /// Another copy of this device's database had synced under the same name: what was unsent here was written again under a new one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copied: bool,
    /// Another copy of this device's database, with the same key, has synced since this one last did.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copy_in_use: bool,
    /// Edits that were written again, by value.
    #[serde(skip_serializing_if = "is_none")]
    pub written_again: u64,
    /// Changes of a copied or restored database that are written again before they go anywhere, and that waits for a server that tells everything, as
    /// one that recovers does not: until then this device alone holds them, and shows their records as not sent.
    #[serde(skip_serializing_if = "is_none")]
    pub kept_back: u64,
    /// There is more to send than this session could.
    #[serde(skip)]
    pub unfinished: bool,
    /// The server was restored and gives nothing out until its recovery is closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recovering: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

fn is_one_way(ways: &[Over]) -> bool {
    ways.len() < 2
}

impl SyncReport {
    /// From here on it runs over this.
    pub(crate) fn goes_over(&mut self, over: Over) {
        self.over = Some(over);
        if self.ways.last() != Some(&over) {
            self.ways.push(over);
        }
    }

    /// Adds the attachments that were carried after the records. What waits is what waited at last.
    pub(crate) fn add_carried(&mut self, carried: Carried) {
        let before = self.attachments;
        self.attachments = Carried {
            up: before.up + carried.up,
            down: before.down + carried.down,
            bytes_up: before.bytes_up + carried.bytes_up,
            bytes_down: before.bytes_down + carried.bytes_down,
            declined: before.declined + carried.declined,
            ..carried
        };
        self.bytes_up += carried.frame_bytes_up;
        self.bytes_down += carried.frame_bytes_down;
    }

    /// Adds what another session did in the same sync.
    pub(crate) fn add(&mut self, other: Self) {
        self.round_trips += other.round_trips;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.envelopes_up += other.envelopes_up;
        self.envelopes_down += other.envelopes_down;
        self.changes_up += other.changes_up;
        self.changes_down += other.changes_down;
        self.conflicts += other.conflicts;
        self.written_again += other.written_again;
        self.forms += other.forms;
        self.refused.extend(other.refused);
        self.not_applied.extend(other.not_applied);
        self.copied |= other.copied;
        self.copy_in_use |= other.copy_in_use;
        self.clock_ahead_ms = other.clock_ahead_ms;
        self.recovering = other.recovering;
        self.kept_back = other.kept_back;
        self.unfinished = other.unfinished;
    }
}
