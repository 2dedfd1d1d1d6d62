//! A record: the answers of one interview as a CRDT document, with its reviews; and entities as a fold over records.
//!
//! [`Record::create`], [`Record::edit`], [`Record::review`] and [`Record::resolve`] write one change each; [`gate::admit`] takes in
//! changes from outside; [`project`] says what a record comes to: values, review items, entity writes, history.

pub mod again;
pub mod document;
pub mod edit;
pub mod entities;
pub mod error;
pub mod events;
pub mod gate;
pub mod generation;
pub mod items;
pub mod judge;
pub mod place;
pub mod projection;
pub mod provenance;
pub mod review;
pub mod shape;
pub mod state;

pub use again::Made;
pub use document::Record;
pub use error::RecordError;
pub use items::{ItemKind, ItemValue, ReviewItem};
pub use projection::{
    EventOutcome, HistoryEntry, HistoryEvent, Payable, Projection, ReviewState, project, project_for_lists, project_read,
    project_with,
};
pub use provenance::{Author, Provenance, SourcedChange, Stamp};
pub use review::{Decision, Review};
pub use shape::Shape;
