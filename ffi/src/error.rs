//! What an app is told when something goes wrong: a kind to act on, a code, the reason, and how to mend it in words for the
//! person who holds the phone. No answer of anybody is in it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use karwan_client::interview::Refused;
use karwan_client::{ClientError, KeyError, StoreError, Trouble};

/// Why a call failed. Every kind has a code for programs, a reason, and a mend for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KarwanError {
    /// What was given cannot be used, and nothing was written.
    #[error("{reason}")]
    BadInput {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// No such form, record, draft or question here.
    #[error("{reason}")]
    NotFound {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// It may not be: rights, an invitation, a question that takes no answer now.
    #[error("{reason}")]
    Refused {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// The interview does not stand as it is; it stays a draft.
    #[error("{reason}")]
    Invalid {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
        /// Which answers, and why.
        violations: Vec<Violation>,
    },
    /// The server cannot be reached, or the connection broke. Work is kept.
    #[error("{reason}")]
    Unreachable {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// The key is gone or belongs to another database. The folder must be kept: what it holds may be the only copy.
    #[error("{reason}")]
    KeyLost {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// The folder is in use, damaged, or from a newer version.
    #[error("{reason}")]
    Folder {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// The device is paused.
    #[error("{reason}")]
    Paused {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// Somebody ended it; what was done by then is kept.
    #[error("{reason}")]
    Cancelled {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
    /// A fault of the app, of this library or of the disk.
    #[error("{reason}")]
    Internal {
        /// For programs.
        code: String,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        mend: String,
    },
}

/// An answer that does not stand.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Violation {
    /// The question, as [`crate::Interview::answer`] takes it.
    pub place: String,
    /// The question with positions instead of identifiers, to show.
    pub reference: String,
    /// `constraint` or `required`.
    pub kind: String,
    /// The form's own words in the language shown; empty where it has none.
    pub message: String,
}

impl From<karwan_client::interview::Violation> for Violation {
    fn from(violation: karwan_client::interview::Violation) -> Self {
        Self {
            place: violation.place,
            reference: violation.reference,
            kind: violation.kind.word().to_owned(),
            message: violation.message,
        }
    }
}

impl From<ClientError> for KarwanError {
    fn from(error: ClientError) -> Self {
        let (code, reason, mend) = (error.code(), error.to_string(), mend(&error));
        let trouble = error.trouble();
        match error {
            ClientError::Invalid(violations) => {
                let violations = violations.into_iter().map(Violation::from).collect();
                Self::Invalid { code, reason, mend, violations }
            }
            ClientError::Cancelled => Self::Cancelled { code, reason, mend },
            ClientError::Store(StoreError::Paused) => Self::Paused { code, reason, mend },
            ClientError::Store(StoreError::WrongKey | StoreError::Key(KeyError::Lost { .. })) => {
                Self::KeyLost { code, reason, mend }
            }
            ClientError::NoSuchForm(_)
            | ClientError::FormNotHere(_)
            | ClientError::NoSuchRecord(_)
            | ClientError::NotADraft(_)
            | ClientError::Store(StoreError::Missing(_) | StoreError::NotFound { .. })
            | ClientError::Answer(
                Refused::NoSuchNode(_) | Refused::NoSuchRepeat(_) | Refused::NothingToRemove(_) | Refused::NoLanguage(_),
            ) => Self::NotFound { code, reason, mend },
            ClientError::Answer(Refused::WrongType { .. }) => Self::BadInput { code, reason, mend },
            ClientError::Answer(_) => Self::Refused { code, reason, mend },
            _ => match trouble {
                Trouble::Input => Self::BadInput { code, reason, mend },
                Trouble::Refused => Self::Refused { code, reason, mend },
                Trouble::Unreachable => Self::Unreachable { code, reason, mend },
                Trouble::Folder => Self::Folder { code, reason, mend },
                Trouble::Failed => Self::Internal { code, reason, mend },
            },
        }
    }
}

/// An exception that the app's own code threw where this library called it.
impl From<uniffi::UnexpectedUniFFICallbackError> for KarwanError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Internal {
            code: "callback".to_owned(),
            reason: error.reason,
            mend: "This is a fault of the app: report it with its version. Your work is kept.".to_owned(),
        }
    }
}

impl KarwanError {
    /// What was given cannot be used.
    pub(crate) fn bad_input(code: &str, reason: impl Into<String>, mend: &str) -> Self {
        Self::BadInput { code: code.to_owned(), reason: reason.into(), mend: mend.to_owned() }
    }

    /// The interview was finished, thrown away, or given up after a fault.
    pub(crate) fn interview_over() -> Self {
        Self::Refused {
            code: "interview-over".to_owned(),
            reason: "this interview is over".to_owned(),
            mend: "Open the record again: every answer that was given is kept.".to_owned(),
        }
    }

    /// The library itself is at fault.
    pub(crate) fn panicked() -> Self {
        Self::internal("the library met a fault of its own")
    }

    /// Something that the person cannot help.
    pub(crate) fn internal(reason: impl Into<String>) -> Self {
        Self::Internal {
            code: "fault".to_owned(),
            reason: reason.into(),
            mend: "Close the app and open it again; if it stays, report it with its version. Your work is kept.".to_owned(),
        }
    }
}

/// Runs work of the client; a panic in it becomes an error, so that it ends one call and not the app.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, ClientError>) -> Result<T, KarwanError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(KarwanError::from),
        Err(_) => Err(KarwanError::panicked()),
    }
}

/// The mend for somebody who holds a phone; the client's own speaks of commands where a terminal is meant.
fn mend(error: &ClientError) -> String {
    let fixed = match error {
        ClientError::NoSuchForm(_) | ClientError::FormNotHere(_) | ClientError::NoCaseload => "Sync: a form comes with a sync.",
        ClientError::SeveralCaseloads(_) => "Say in which caseload.",
        ClientError::NoSuchRecord(_) | ClientError::NotADraft(_) => "Look at the list again: it may have changed meanwhile.",
        ClientError::DraftOpen(_) => "Finish the draft of this record, or throw it away, first.",
        ClientError::Entity(_) => "Edit one of the interviews behind it.",
        ClientError::Answer(Refused::WrongType { .. }) => "Write it as the question asks.",
        ClientError::Answer(_) => "Look at the form again: what it asks depends on the answers before.",
        ClientError::Invalid(_) => "Mend the answers named. Everything that was answered is kept.",
        ClientError::FormFault { .. } | ClientError::Interview(_) => "Tell who made the form.",
        ClientError::Invitation(_) => "Scan the invitation again, or ask for a new one.",
        ClientError::Meeting(_) => "Read the QR code again from the other phone's screen.",
        ClientError::NobodyCame { .. } | ClientError::NotMet { .. } => {
            "Both must be in one network: join the hotspot of one of the two, keep both screens on, and begin again. Your work is kept."
        }
        ClientError::CannotListen { .. } => "Close other apps that share over the network, and try again. Your work is kept.",
        ClientError::EnvelopesRefused { .. } => "Your work is kept. Tell the administrator.",
        ClientError::WorkAtStake { .. } => "Finish or throw away the drafts, and sync.",
        ClientError::Store(error) => match error {
            StoreError::Missing(_) => "Join with an invitation first.",
            StoreError::Exists(_) => "This phone has joined already: open what is there.",
            StoreError::WrongKey | StoreError::Key(KeyError::Lost { .. }) => {
                "Keep this phone as it is and ask the administrator: without its key nobody can read what it holds."
            }
            StoreError::Key(_) => "Unlock the phone and try again.",
            StoreError::Paused => "Resume the device before you use it.",
            _ => error.mend(),
        },
        other => return without_command(&other.mend()),
    };
    fixed.to_owned()
}

/// `Ask for an invitation: karwan invite ORG. Work is kept.` without the command.
fn without_command(mend: &str) -> String {
    let Some((before, command)) = mend.split_once(": karwan ") else { return mend.to_owned() };
    let after = command.split_once('.').map_or("", |(_, after)| after);
    format!("{before}.{after}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_a_mend() {
        let outcome: Result<(), _> = guarded(|| panic!("an answer of somebody"));
        let Err(KarwanError::Internal { reason, mend, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason, "the library met a fault of its own");
        assert!(mend.contains("Your work is kept"));
    }

    #[test]
    fn a_question_that_takes_no_answer_is_refused_and_a_wrong_type_is_bad_input() {
        let refused = KarwanError::from(ClientError::Answer(Refused::NotRelevant("/data/age".to_owned())));
        assert!(matches!(refused, KarwanError::Refused { .. }), "{refused:?}");
        let wrong = Refused::WrongType { place: "/data/age".to_owned(), expected: "a whole number" };
        let wrong = KarwanError::from(ClientError::Answer(wrong));
        assert!(matches!(wrong, KarwanError::BadInput { .. }), "{wrong:?}");
        let missing = KarwanError::from(ClientError::Answer(Refused::NoSuchNode("/data/x".to_owned())));
        assert!(matches!(missing, KarwanError::NotFound { .. }), "{missing:?}");
    }

    #[test]
    fn a_phone_is_told_no_commands() {
        let record = "0b7e0c52-3c39-4a3e-8b39-1f0f4d1a9c11".to_owned();
        let errors = [
            ClientError::NoSuchForm("visit".to_owned()),
            ClientError::FormNotHere("visit".to_owned()),
            ClientError::SeveralCaseloads("visit".to_owned()),
            ClientError::NoCaseload,
            ClientError::NoSuchRecord(record.clone()),
            ClientError::NotADraft(record.clone()),
            ClientError::DraftOpen(record.clone()),
            ClientError::Entity(record),
            ClientError::EnvelopesRefused { count: 1 },
            ClientError::Meeting(karwan_client::MeetingError::NotAMeeting),
            ClientError::NobodyCame { minutes: 10 },
            ClientError::NotMet { reason: "it does not answer".to_owned() },
            ClientError::CannotListen { address: "0.0.0.0:1".to_owned(), reason: "taken".to_owned() },
            ClientError::FormFault { form: "visit".to_owned(), fault: "survey!C4".to_owned() },
            ClientError::Refused(karwan_client::Refusal::InvitationUsed),
            ClientError::Store(StoreError::WrongKey),
            ClientError::Store(StoreError::Missing("phone".into())),
            ClientError::Store(StoreError::Exists("phone".into())),
        ];
        for error in errors {
            let mend = mend(&error);
            assert!(!mend.contains("karwan ") && !mend.contains("--"), "{error}: {mend}");
        }
    }
}
