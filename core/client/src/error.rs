//! What can go wrong in the client. Every error has a code for scripts and a mend for people; none holds an answer.

use karwan_form::answer_file::AnswerFileError;
use karwan_form::interview::{InterviewError, Refused, Violation};
use karwan_proto::error::{EnvelopeError, InvitationError, MeetingError, MembershipError};
use karwan_proto::session::Refusal;
use karwan_store::StoreError;

/// Why the client refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text is no invitation, or one that does not hold.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// The server says no.
    #[error("{0}")]
    Refused(Refusal),
    /// Whoever answers at the address is not the server that the root certified.
    #[error("who answers at {address} is not a server of this organisation")]
    WrongServer {
        /// Where.
        address: String,
    },
    /// Nobody answers.
    #[error("the server at {address} is not reachable: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the network said.
        reason: String,
    },
    /// The text is not what another device shows.
    #[error(transparent)]
    Meeting(#[from] MeetingError),
    /// This device does not sync with the other one.
    #[error("the other device is not to sync with this one: {}", of_the_other(*.0))]
    OtherDevice(Refusal),
    /// The other device does not answer.
    #[error("the other device does not answer: {reason}")]
    NotMet {
        /// What the network said.
        reason: String,
    },
    /// Somebody else answers where the other device should.
    #[error("who answers at {address} is not the device whose text this is")]
    NotTheOther {
        /// Where.
        address: String,
    },
    /// Nobody came while this device listened.
    #[error("no device came within {minutes} minutes")]
    NobodyCame {
        /// How long it listened.
        minutes: u64,
    },
    /// The address is taken, or none of this device's.
    #[error("cannot listen at {address}: {reason}")]
    CannotListen {
        /// Where.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The connection broke in the middle of a session.
    #[error("the connection ended in the middle of the session: {0}")]
    Interrupted(String),
    /// Setting up the transport failed.
    #[error("{what} failed")]
    Transport {
        /// What.
        what: &'static str,
    },
    /// The server said something that cannot be.
    #[error("the server's answer is not usable: {0}")]
    Session(String),
    /// Somebody ended the sync.
    #[error("the sync was cancelled")]
    Cancelled,
    /// Some envelopes were refused; they are kept.
    #[error("{count} envelopes were refused and are kept on this device")]
    EnvelopesRefused {
        /// How many.
        count: usize,
    },
    /// A wipe would take the only copy of work.
    #[error(
        "{drafts} drafts, {unsent} unsent records, {attachments} attachments that the server has not and {not_backed_up} envelopes that no \
         backup has would be lost"
    )]
    WorkAtStake {
        /// Interviews that are not finished.
        drafts: u64,
        /// Records with changes that the server has not accepted.
        unsent: u64,
        /// Envelopes that the server has and no backup of it.
        not_backed_up: u64,
        /// Attachments that the server has not.
        attachments: u64,
    },
    /// The membership log is not what it should be.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// Changes cannot be sealed.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// No such form on this device.
    #[error("no form {0} on this device")]
    NoSuchForm(String),
    /// The form's definition has not come yet.
    #[error("the form {0} has not come whole to this device yet")]
    FormNotHere(String),
    /// The form cannot be read by this version.
    #[error("the form {form} cannot be read: {fault}")]
    FormFault {
        /// Which.
        form: String,
        /// Its first fault.
        fault: String,
    },
    /// The form is in several caseloads of this device.
    #[error("the form {0} is in several caseloads of this device")]
    SeveralCaseloads(String),
    /// The device was granted nothing to collect in.
    #[error("this device has no caseload yet")]
    NoCaseload,
    /// No such record.
    #[error("no record {0} on this device")]
    NoSuchRecord(String),
    /// There is no draft of that record.
    #[error("the record {0} is no draft")]
    NotADraft(String),
    /// There is a draft of that record already.
    #[error("the record {0} has a draft that is not finished")]
    DraftOpen(String),
    /// An entity is what interviews say: it is not edited itself.
    #[error("{0} is an entity: it changes with the interviews behind it")]
    Entity(String),
    /// An answer cannot be given.
    #[error(transparent)]
    Answer(#[from] Refused),
    /// The answers cannot be read.
    #[error(transparent)]
    AnswerFile(#[from] AnswerFileError),
    /// The interview cannot start.
    #[error(transparent)]
    Interview(#[from] InterviewError),
    /// The interview is not valid as it stands.
    #[error("{}", invalid_words(.0))]
    Invalid(Vec<Violation>),
    /// A person's name is used by several people.
    #[error("several people on this device are called that")]
    SeveralPeople,
    /// The question asks for no file.
    #[error("the question {0} asks for no file")]
    NotAFileQuestion(String),
    /// The answer refers to no file.
    #[error("the answer refers to no file")]
    NotAnAttachment,
    /// The file cannot be read, or not be written.
    #[error("the file cannot be read or written: {0}")]
    FileUnreadable(String),
    /// The file is empty, or larger than an attachment may be.
    #[error("the file has {came} bytes, expected 1 to {limit}")]
    FileSize {
        /// Its length.
        came: u64,
        /// The limit.
        limit: u64,
    },
    /// The attachment is not whole on this device.
    #[error("the attachment {0} is not on this device")]
    AttachmentElsewhere(String),
    /// A record's document cannot be made or changed.
    #[error("the record's document refuses: {0}")]
    Record(String),
}

/// Why the other of two devices is refused, said of that one.
fn of_the_other(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Revoked => "it was revoked",
        Refusal::UnknownDevice => "it is unknown to this organisation",
        Refusal::WrongOrganisation => "it belongs to another organisation",
        Refusal::CloneSuspected => "it is a copy of this one",
        Refusal::NothingShared => "the two have no caseload in common",
        Refusal::MembershipDiverged => "each of the two knows decisions of the organisation that the other has not",
        _ => "what it said was not understood",
    }
}

/// Questions and rules, no answers. The form's own words may repeat an answer (`${name} must be …`), so they are not used here.
fn invalid_words(violations: &[Violation]) -> String {
    const SHOWN_MAX: usize = 3;
    let shown: Vec<String> = violations
        .iter()
        .take(SHOWN_MAX)
        .map(|violation| format!("{} ({})", violation.reference, violation.kind.word()))
        .collect();
    let more = violations.len().saturating_sub(SHOWN_MAX);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} answers do not stand: {}{tail}", violations.len(), shown.join(", "))
}

/// What kind of trouble it is: the exit status of a command follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Something failed.
    Failed,
    /// The input is bad, and nothing was written.
    Input,
    /// Who, key, invitation, rights.
    Refused,
    /// Nobody answers.
    Unreachable,
    /// The folder is locked or damaged.
    Folder,
}

impl ClientError {
    /// A name for scripts, such as `invitation-used`.
    pub fn code(&self) -> String {
        let fixed = match self {
            Self::Refused(refusal) => return kebab(refusal.name()),
            Self::OtherDevice(refusal) => return format!("other-device-{}", kebab(refusal.name())),
            Self::Store(error) => match error {
                StoreError::Missing(_) => "no-device",
                StoreError::Exists(_) => "device-exists",
                StoreError::Key(karwan_store::KeyError::Lost { .. }) => "key-lost",
                StoreError::Key(_) => "key",
                StoreError::WrongKey => "wrong-key",
                StoreError::Locked { .. } => "locked",
                StoreError::Damaged => "damaged",
                StoreError::Newer { .. } => "newer-database",
                StoreError::Paused => "paused",
                StoreError::NotFound { .. } => "not-found",
                _ => "store",
            },
            Self::Invitation(InvitationError::Expired { .. }) => "invitation-expired",
            Self::Invitation(_) => "not-an-invitation",
            Self::WrongServer { .. } => "wrong-server",
            Self::Unreachable { .. } => "unreachable",
            Self::Meeting(_) => "not-a-meeting",
            Self::NotMet { .. } => "not-met",
            Self::NotTheOther { .. } => "not-the-other",
            Self::NobodyCame { .. } => "nobody-came",
            Self::CannotListen { .. } => "cannot-listen",
            Self::Interrupted(_) => "interrupted",
            Self::Transport { .. } => "transport",
            Self::Session(_) => "session",
            Self::Cancelled => "cancelled",
            Self::EnvelopesRefused { .. } => "envelopes-refused",
            Self::Membership(_) => "membership",
            Self::Envelope(_) => "envelope",
            Self::NoSuchForm(_) => "no-such-form",
            Self::FormNotHere(_) => "form-not-here",
            Self::FormFault { .. } => "form-fault",
            Self::SeveralCaseloads(_) => "several-caseloads",
            Self::NoCaseload => "no-caseload",
            Self::NoSuchRecord(_) => "no-such-record",
            Self::NotADraft(_) => "not-a-draft",
            Self::DraftOpen(_) => "draft-open",
            Self::WorkAtStake { .. } => "work-at-stake",
            Self::Entity(_) => "entity",
            Self::Answer(_) => "answer",
            Self::AnswerFile(_) => "answers",
            Self::Interview(_) => "interview",
            Self::Invalid(_) => "invalid",
            Self::SeveralPeople => "several-people",
            Self::NotAFileQuestion(_) => "not-a-file-question",
            Self::NotAnAttachment => "no-attachment",
            Self::FileUnreadable(_) => "unreadable",
            Self::FileSize { .. } => "file-size",
            Self::AttachmentElsewhere(_) => "attachment-elsewhere",
            Self::Record(_) => "record",
        };
        fixed.to_owned()
    }

    /// What kind of trouble it is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Store(error) => match error {
                StoreError::Key(_) | StoreError::WrongKey => Trouble::Refused,
                StoreError::Locked { .. } | StoreError::Damaged | StoreError::Newer { .. } => Trouble::Folder,
                StoreError::Exists(_) | StoreError::Missing(_) | StoreError::NotFound { .. } | StoreError::Limit { .. } => {
                    Trouble::Input
                }
                _ => Trouble::Failed,
            },
            Self::Invitation(InvitationError::Expired { .. } | InvitationError::Certificate(_)) => Trouble::Refused,
            Self::Refused(Refusal::Busy { .. }) => Trouble::Unreachable,
            Self::Refused(Refusal::Failed) => Trouble::Failed,
            Self::Refused(_)
            | Self::OtherDevice(_)
            | Self::NotTheOther { .. }
            | Self::WrongServer { .. }
            | Self::EnvelopesRefused { .. }
            | Self::NoCaseload
            | Self::WorkAtStake { .. } => Trouble::Refused,
            Self::Unreachable { .. } | Self::NotMet { .. } | Self::NobodyCame { .. } | Self::Interrupted(_) => {
                Trouble::Unreachable
            }
            Self::Invitation(_)
            | Self::Meeting(_)
            | Self::NoSuchForm(_)
            | Self::SeveralCaseloads(_)
            | Self::NoSuchRecord(_)
            | Self::NotADraft(_)
            | Self::DraftOpen(_)
            | Self::Entity(_)
            | Self::Answer(_)
            | Self::AnswerFile(_)
            | Self::Interview(_)
            | Self::Invalid(_)
            | Self::FormFault { .. }
            | Self::SeveralPeople
            | Self::NotAFileQuestion(_)
            | Self::NotAnAttachment
            | Self::FileUnreadable(_)
            | Self::FileSize { .. } => Trouble::Input,
            Self::AttachmentElsewhere(_) => Trouble::Unreachable,
            _ => Trouble::Failed,
        }
    }

    /// What a person can do about it, in one line.
    pub fn mend(&self) -> String {
        let fixed = match self {
            Self::Store(error) => error.mend(),
            Self::Invitation(InvitationError::Expired { .. }) => "Ask for a new invitation, and look at this device's clock.",
            Self::Invitation(_) => "Copy the whole text of the invitation again, or ask for a new one: karwan invite ORG.",
            Self::Refused(refusal) => return refusal_mend(*refusal),
            Self::WrongServer { .. } => {
                "Do not go on: another server answers there. Ask for a new invitation if the server was replaced. Your work is kept."
            }
            Self::Unreachable { .. } => "Look at the network and the address, and whether the server runs. Your work is kept.",
            Self::Meeting(_) => "Read the QR code again, or copy the whole text that karwan device listen shows.",
            Self::OtherDevice(refusal) => return other_mend(*refusal),
            Self::NotMet { .. } | Self::NobodyCame { .. } => {
                "Both must be in one network: join the hotspot of one of the two, keep both screens on, and listen anew. A network that keeps its \
                 guests apart does not do. Your work is kept."
            }
            Self::NotTheOther { .. } => {
                "Read the text from the other device's screen again: it is another one each time. Your work is kept."
            }
            Self::CannotListen { .. } => "Give another address and port: --listen HOST:PORT; port 0 takes a free one.",
            Self::Interrupted(_) => "Sync again when the network is better: what is done is not repeated. Your work is kept.",
            Self::Transport { .. } => "Report this with the version of karwan.",
            Self::Session(_) => {
                "Sync again; if it stays, report this with the versions of karwan on both sides. Your work is kept."
            }
            Self::Cancelled => "Sync again when you like: what is done is not repeated.",
            Self::EnvelopesRefused { .. } => "Your work is kept. The reasons are in the report (--json); tell the administrator.",
            Self::Membership(_) => "Sync with your organisation's own server; if it stays, tell the administrator.",
            Self::Envelope(_) | Self::Record(_) => "Report this with the version of karwan. Your work is kept.",
            Self::NoSuchForm(_) | Self::SeveralCaseloads(_) => {
                "See the names: karwan device forms DEV. A form comes with a sync."
            }
            Self::FormNotHere(_) => "Sync: karwan device sync DEV.",
            Self::FormFault { .. } => "Tell who made the form; karwan form check says more.",
            Self::NoCaseload => "Sync first: karwan device sync DEV.",
            Self::NoSuchRecord(_) => "See what there is: karwan device list DEV.",
            Self::NotADraft(_) => "See the drafts: karwan device list DEV. A finished record is changed with karwan device edit.",
            Self::DraftOpen(_) => {
                "Finish it (karwan device finalize DEV RECORD) or discard it (karwan device discard DEV RECORD) first."
            }
            Self::WorkAtStake { .. } => {
                "Finish or discard the drafts, sync, let the server be backed up and sync again; or give it all up: --force."
            }
            Self::Entity(_) => "Edit one of the interviews behind it: karwan device show DEV RECORD names them.",
            Self::Answer(_) => "See the questions and their answers: karwan device show DEV RECORD.",
            Self::AnswerFile(_) => "Write one name=value a line, with the names of the form's questions.",
            Self::Interview(_) => "Tell who made the form.",
            Self::Invalid(_) => "Mend the answers named, or keep it as a draft (--draft). Nothing was written.",
            Self::NotAFileQuestion(_) => "Name a question for a photograph, a signature, a sound or a file.",
            Self::NotAnAttachment => "Name a question whose answer is a file.",
            Self::FileUnreadable(_) => "Look at the file's path and permissions, and at the disk's free space.",
            Self::FileSize { .. } => "Give a file with something in it, and a large one in parts or scaled down.",
            Self::AttachmentElsewhere(_) => "Sync where there is a network: it comes once the device that made it has been home.",
            Self::SeveralPeople => "Give the person's identifier instead of the name.",
        };
        fixed.to_owned()
    }
}

fn refusal_mend(refusal: Refusal) -> String {
    match refusal {
        Refusal::Revoked => "Ask the administrator. Your unsent work is kept on this device and can be adopted.",
        Refusal::UnknownDevice => {
            "Ask for an invitation of this organisation, and enrol again in another folder. Your work is kept."
        }
        Refusal::WrongOrganisation => "Sync with your own organisation's server. Your work is kept.",
        Refusal::InvitationUnknown | Refusal::InvitationUsed | Refusal::InvitationExpired => {
            "Ask for a new invitation: karwan invite ORG."
        }
        Refusal::Recovering => "Wait until the administrator has closed recovery: karwan recovery close ORG. Your work is kept.",
        Refusal::CloneSuspected => {
            "Sync again: this device writes its unsent work again under a new name. Use only one copy of its folder."
        }
        Refusal::SecretUnknown => {
            "Read the QR code on the other device again: it is another one after each meeting. Your work is kept."
        }
        Refusal::NothingShared => "Ask the administrator for a caseload that both devices have. Your work is kept.",
        Refusal::MembershipDiverged => "Sync one of the two devices with the server first. Your work is kept.",
        Refusal::Busy { .. } => "Sync again in a little while. Your work is kept.",
        Refusal::ProtocolVersion(_) => "Update karwan on this device or on the server. Your work is kept.",
        _ => "Sync again; if it stays, tell the administrator. Your work is kept.",
    }
    .to_owned()
}

fn other_mend(refusal: Refusal) -> String {
    match refusal {
        Refusal::CloneSuspected => "Use only one copy of a device's folder. Sync both with the server: each keeps its work.",
        Refusal::NothingShared => "Ask the administrator for a caseload that both have. Your work is kept.",
        Refusal::MembershipDiverged => "Sync one of the two with the server first. Your work is kept.",
        Refusal::Revoked | Refusal::UnknownDevice | Refusal::WrongOrganisation => {
            "Do not go on with that device, and tell the administrator. Your work is kept."
        }
        _ => "Try again; if it stays, report this with the versions of karwan on both devices. Your work is kept.",
    }
    .to_owned()
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            if !text.is_empty() {
                text.push('-');
            }
            text.push(character.to_ascii_lowercase());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_code_for_scripts_and_a_mend_for_people() {
        let error = ClientError::Refused(Refusal::InvitationUsed);
        assert_eq!(error.code(), "invitation-used");
        assert_eq!(error.trouble(), Trouble::Refused);
        assert!(error.mend().contains("karwan invite"));
    }
}
