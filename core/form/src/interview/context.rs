//! What an interview is told of the world: the clock, who asks, on which device, with which lists.

use std::sync::Arc;

use crate::answers::Answers;
use crate::model::Table;

/// The world around an interview. Nothing in this crate reads a clock or draws a random number.
#[derive(Clone)]
pub struct Context {
    /// Milliseconds since 1970 for `now()`, `today()` and the preloads.
    pub now_ms: i64,
    /// Offset of local time from UTC, in minutes.
    pub offset_minutes: i32,
    /// Preloads and `property()`.
    pub device_id: String,
    /// Who asks.
    pub username: String,
    /// Phone number of the device.
    pub phone_number: String,
    /// E-mail of who asks.
    pub email: String,
    /// `uuid()`, `random()` and instance ids are drawn from this.
    pub random_seed: [u8; 32],
    /// External data by file name.
    pub lists: Arc<dyn Lists>,
    /// Answers of the last saved interview of this form, for `${last-saved#…}`.
    pub last_saved: Option<Answers>,
}

impl Context {
    /// A context without names and lists, at a moment in UTC.
    pub fn at(now_ms: i64, random_seed: [u8; 32]) -> Self {
        Self {
            now_ms,
            offset_minutes: 0,
            device_id: String::new(),
            username: String::new(),
            phone_number: String::new(),
            email: String::new(),
            random_seed,
            lists: Arc::new(NoLists),
            last_saved: None,
        }
    }
}

/// External data: CSV files of the form's media, or the device's own entity lists.
pub trait Lists: Send + Sync {
    /// The rows of a file (`persons.csv`); `None` where there is no such file, which reads as an empty list.
    fn table(&self, file: &str) -> Option<Arc<Table>>;
}

/// No external data at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLists;

impl Lists for NoLists {
    fn table(&self, _file: &str) -> Option<Arc<Table>> {
        None
    }
}

/// How an interview treats what was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A new interview.
    Fill,
    /// Goes on with stored answers: captured values are taken again only where what they depend on changes.
    Edit,
    /// After a merge: nothing captured is computed and look-ups in external lists judge nothing.
    Judge,
}
