//! Why something cannot be done, as people and scripts hear it: a line that says what is wrong, one that says the mend, a code, and
//! the exit status of the command line. No personal data.

use serde::{Deserialize, Serialize};

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// A name for scripts.
    pub code: String,
    /// What to do.
    pub mend: String,
    /// The exit status of a command.
    #[serde(skip_serializing_if = "is_failed", default = "failed")]
    pub status: u8,
}

fn is_failed(status: &u8) -> bool {
    *status == Problem::FAILED
}

fn failed() -> u8 {
    Problem::FAILED
}

impl Problem {
    /// It failed.
    pub const FAILED: u8 = 1;
    /// The command was not understood.
    pub const USAGE: u8 = 2;
    /// The input is bad, and nothing was written.
    pub const INPUT: u8 = 3;
    /// Who, key, invitation, rights.
    pub const REFUSED: u8 = 4;
    /// Nobody answers.
    pub const UNREACHABLE: u8 = 5;
    /// The folder is locked or damaged.
    pub const FOLDER: u8 = 6;

    /// The code of what goes well again once the database answers.
    pub const DATABASE_AWAY: &str = "database-away";
    /// The code of what goes well again once the store for attachments answers.
    pub const STORE_AWAY: &str = "store-away";

    /// A problem.
    pub fn new(status: u8, code: &str, error: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { error: error.into(), code: code.to_owned(), mend: mend.into(), status }
    }

    /// The input is bad.
    pub fn input(code: &str, error: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Self::INPUT, code, error, mend)
    }

    /// Somebody may not.
    pub fn refused(code: &str, error: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Self::REFUSED, code, error, mend)
    }

    /// Something that this version does not do yet.
    pub fn later(what: &str) -> Self {
        Self::new(
            Self::FAILED,
            "not-in-this-version",
            format!("{what} is not in this version"),
            "See karwan --help for what there is.",
        )
    }
}

impl From<crate::database::Error> for Problem {
    fn from(error: crate::database::Error) -> Self {
        match error {
            crate::database::Error::Sqlite(error) => error.into(),
            crate::database::Error::Away(_) => Self::new(
                Self::UNREACHABLE,
                Self::DATABASE_AWAY,
                error.to_string(),
                "Look whether the database runs; what was confirmed is in it. Try again in a while.",
            ),
            // Devices are told to come again, as where it is away: what is acknowledged is in it.
            crate::database::Error::Unsafe(refused) => {
                Self::new(Self::UNREACHABLE, Self::DATABASE_AWAY, refused.to_string(), refused.mend)
            }
            other => Self::new(
                Self::FAILED,
                "database",
                format!("the database failed: {other}"),
                "Report this with the version of karwan.",
            ),
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        let damaged = matches!(code, Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase));
        if damaged {
            return Self::new(Self::FOLDER, "damaged", "the organisation's database is damaged", "Restore the newest backup.");
        }
        // The text of an SQLite error names tables and columns, never their content.
        Self::new(
            Self::FAILED,
            "database",
            format!("the database failed: {error}"),
            "Look at free space and rights of the folder.",
        )
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::new(Self::FAILED, "file", format!("a file failed: {error}"), "Look at free space and rights of the folder.")
    }
}

impl From<serde_json::Error> for Problem {
    fn from(_: serde_json::Error) -> Self {
        Self::new(Self::FAILED, "json", "a stored text is not what it should be", "Report this with the version of karwan.")
    }
}

impl From<karwan_record::RecordError> for Problem {
    fn from(error: karwan_record::RecordError) -> Self {
        Self::new(Self::FAILED, "record", error.to_string(), "Report this with the version of karwan.")
    }
}

impl From<karwan_proto::error::MembershipError> for Problem {
    fn from(error: karwan_proto::error::MembershipError) -> Self {
        Self::refused("membership", error.to_string(), "Look at who may decide this: karwan user list ORG.")
    }
}

impl From<karwan_proto::error::EnvelopeError> for Problem {
    fn from(error: karwan_proto::error::EnvelopeError) -> Self {
        Self::new(Self::FAILED, "envelope", error.to_string(), "Report this with the version of karwan.")
    }
}

impl From<karwan_proto::error::LogError> for Problem {
    fn from(error: karwan_proto::error::LogError) -> Self {
        Self::new(Self::FOLDER, "log", error.to_string(), "Restore the newest backup.")
    }
}
