//! One phone of a team: the same client library that an app embeds, an enumerator with a keyboard, a clock that plays the days of the
//! journey, and a ledger of what it was told is safe.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use karwan_client::answer_file;
use karwan_client::{
    ClientError, Clock, Collect, Device, EnrolRequest, FileKey, Filling, Folder, ListQuery, RecordId, SystemClock,
};

use super::ledger::Ledger;
use super::people::Hand;
use crate::problem::Problem;

/// Iran is three and a half hours ahead of UTC.
pub const OFFSET_MINUTES: i32 = 210;

/// A clock that can be set.
#[derive(Debug, Default)]
pub struct StoryClock(AtomicI64);

impl StoryClock {
    /// Stands at a time, in milliseconds since 1970; at 0 it follows the machine's clock.
    pub fn set(&self, at_ms: i64) {
        self.0.store(at_ms, Ordering::SeqCst);
    }
}

impl Clock for StoryClock {
    fn now_ms(&self) -> i64 {
        match self.0.load(Ordering::SeqCst) {
            0 => SystemClock::default().now_ms(),
            set => set,
        }
    }

    fn offset_minutes(&self) -> i32 {
        OFFSET_MINUTES
    }
}

/// Who carries a phone.
#[derive(Debug, Clone, Copy)]
pub struct Carrier {
    /// The phone's name.
    pub phone: &'static str,
    /// The enumerator's.
    pub person: &'static str,
    /// How the enumerator writes.
    pub hand: Hand,
    /// Where families are registered, as the form names it, and how its case numbers begin.
    pub office: (&'static str, &'static str),
}

/// A phone.
pub struct Phone {
    /// Who carries it.
    pub carrier: Carrier,
    /// The client library.
    pub device: Device,
    /// Its clock.
    pub clock: Arc<StoryClock>,
    /// What it was told is safe.
    pub ledger: Ledger,
    /// Its folder.
    pub folder: PathBuf,
}

impl Phone {
    /// Enrols a phone with an invitation, its key in a file beside its folder.
    pub async fn enrol(carrier: Carrier, phones: &Path, invitation: String) -> Result<Self, Problem> {
        let folder = phones.join(carrier.phone);
        let clock = Arc::new(StoryClock::default());
        let device = Device::enrol(EnrolRequest {
            folder: Folder::new(&folder),
            key: Arc::new(FileKey::beside(&folder)),
            clock: clock.clone(),
            invitation,
            name: carrier.phone.to_owned(),
            person: Some(carrier.person.to_owned()),
        })
        .await?;
        Ok(Self { carrier, device, clock, ledger: Ledger::default(), folder })
    }

    /// Fills a form with `name=value` lines and notes it when the phone says that it is safe.
    pub fn interview(&mut self, form: &str, answers: &str) -> Result<RecordId, Problem> {
        let person = self.device.person()?;
        let mut collect = self.device.start(form, None, person, Filling::AtOnce)?;
        let lines = answer_file::parse(answers).map_err(ClientError::from)?;
        collect.apply(&lines)?;
        self.finish(collect, form)
    }

    fn finish(&mut self, mut collect: Collect, form: &str) -> Result<RecordId, Problem> {
        let noted = Ledger::note(&collect, form);
        let record = collect.finalize()?;
        self.ledger.collected(record, noted);
        Ok(record)
    }

    /// Answers one question of a record again.
    pub fn edit(&mut self, record: RecordId, question: &str, value: &str) -> Result<(), Problem> {
        let (mut collect, place) = self.opened(record, question)?;
        collect.set(&place, value)?;
        collect.finalize()?;
        self.ledger.edited(record, collect.interview().form(), &place, value);
        Ok(())
    }

    /// A question as the form words it.
    pub fn words_of(&self, record: RecordId, question: &str) -> Result<String, Problem> {
        let (collect, place) = self.opened(record, question)?;
        Ok(collect.interview().node(&place).and_then(|node| node.label).unwrap_or_else(|| question.to_owned()))
    }

    fn opened(&self, record: RecordId, question: &str) -> Result<(Collect, String), Problem> {
        let person = self.device.person()?;
        let collect = self.device.edit(record, person, Filling::AtOnce)?;
        let place = answer_file::place_of(collect.interview(), question, &[]).map_err(ClientError::from)?;
        Ok((collect, place))
    }

    /// Identifiers of the entities of a list that are on the phone.
    pub fn entities(&self, list: &str) -> Result<Vec<String>, Problem> {
        let query = ListQuery { entities: Some(true), source: Some(list.to_owned()), ..ListQuery::default() };
        Ok(self.device.list(&query)?.into_iter().map(|row| row.record).collect())
    }

    /// Identifiers of the interviews that are on the phone.
    pub fn interviews(&self) -> Result<Vec<String>, Problem> {
        let query = ListQuery { entities: Some(false), ..ListQuery::default() };
        Ok(self.device.list(&query)?.into_iter().map(|row| row.record).collect())
    }
}
