//! Connections that read beside a writer, kept open.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::database::place::Place;
use crate::database::{Connection, Error};
use crate::problem::Problem;

/// Connections at once.
const READERS_MAX: usize = 16;
/// How long a reader waits for one.
const READER_WAIT: Duration = Duration::from_secs(20);

/// Readers of one database.
pub(crate) struct Readers {
    place: Arc<Place>,
    kept: Mutex<Kept>,
    returned: Condvar,
}

#[derive(Default)]
struct Kept {
    idle: Vec<Connection>,
    /// How many are in use.
    reading: usize,
}

impl Readers {
    /// Readers of the database at this place.
    pub(crate) fn of(place: Arc<Place>) -> Self {
        Self { place, kept: Mutex::default(), returned: Condvar::new() }
    }

    /// Reads, beside the writer and other readers. What reads must not begin to read again in between: it might wait for itself.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut reading = Reading { readers: self, connection: self.take()? };
        // One that waited may have lost its database meanwhile.
        if !reading.connection.as_ref().is_some_and(Connection::is_usable) {
            reading.connection = Some(self.place.open_to_read()?);
        }
        let connection = reading.connection.as_ref().ok_or_else(|| Error::Away("no connection".to_owned()))?;
        work(connection)
    }

    /// A place among the readers, with a connection where one is idle.
    fn take(&self) -> Result<Option<Connection>, Problem> {
        let until = Instant::now() + READER_WAIT;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.reading >= READERS_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Away(format!("{READERS_MAX} readers are busy")).into());
            }
            kept = self.returned.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        kept.reading += 1;
        Ok(kept.idle.pop())
    }
}

/// One that reads; its place is free when this is dropped.
struct Reading<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut kept = self.readers.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.reading -= 1;
        // One whose database went away is of no more use.
        kept.idle.extend(self.connection.take().filter(Connection::is_usable));
        drop(kept);
        self.readers.returned.notify_one();
    }
}
