//! Why a record refuses. No values in it.

/// What a record cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are no change.
    #[error("a change of the record cannot be read: {0}")]
    Unreadable(String),
    /// Changes depend on others that are not there.
    #[error("{0} changes depend on changes that are not here")]
    Incomplete(usize),
    /// Automerge refused an operation.
    #[error("the document refuses: {0}")]
    Document(String),
    /// A limit.
    #[error("{what}: {came} is more than {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// Most.
        limit: usize,
        /// Came.
        came: usize,
    },
    /// The decision does not fit the item.
    #[error("a {item} item cannot be decided by {decision}")]
    Decision {
        /// The item's kind.
        item: &'static str,
        /// What was tried.
        decision: &'static str,
    },
    /// Nobody gave a value from that device.
    #[error("no value of the item came from that device")]
    NoSuchDevice,
    /// The record has no changes.
    #[error("the record is empty")]
    Empty,
}

impl From<automerge::AutomergeError> for RecordError {
    fn from(error: automerge::AutomergeError) -> Self {
        Self::Document(error.to_string())
    }
}
