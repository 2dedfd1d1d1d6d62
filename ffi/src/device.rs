//! A device as an app holds it: joined or opened, its forms, records and syncs. Calls that are not `async` read or write the
//! database and return soon; an app makes them off its main thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use karwan_client::{
    AttachmentName, CaseloadId, ClientError, Clock, DatabaseKey, EnrolRequest, Filling, Folder, ListQuery, MemoryKey, Network,
    PersonId, RecordId, SystemClock,
};
use zeroize::Zeroizing;

use crate::error::{KarwanError, guarded};
use crate::interview::Interview;
use crate::listener::{Observation, Observer, Relay, SyncListener};
use crate::runtime;
use crate::shown::{Attachment, DataSaver, FormSummary, FreedSpace, OpenItem, RecordDetail, RecordSummary, Salvage, SyncSummary};

/// Largest offset of a clock from UTC, in minutes.
const OFFSET_MINUTES_MAX: i32 = 18 * 60;
/// Records whose open items are read at once: each is loaded for it.
const OPEN_RECORDS_MAX: usize = 1_000;

/// The phone's clock, with the offset that the app said last: phones cross borders.
#[derive(Default)]
struct PhoneClock {
    offset_minutes: AtomicI32,
}

impl Clock for PhoneClock {
    fn now_ms(&self) -> i64 {
        SystemClock::default().now_ms()
    }

    fn offset_minutes(&self) -> i32 {
        self.offset_minutes.load(Ordering::Relaxed)
    }
}

impl PhoneClock {
    fn at(offset_minutes: i32) -> Result<Arc<Self>, KarwanError> {
        let clock = Self::default();
        clock.set(offset_minutes)?;
        Ok(Arc::new(clock))
    }

    fn set(&self, offset_minutes: i32) -> Result<(), KarwanError> {
        if offset_minutes.abs() > OFFSET_MINUTES_MAX {
            return Err(KarwanError::bad_input(
                "offset",
                format!("expected an offset from UTC of at most {OFFSET_MINUTES_MAX} minutes, and {offset_minutes} came"),
                "Give the phone's own offset in minutes.",
            ));
        }
        self.offset_minutes.store(offset_minutes, Ordering::Relaxed);
        Ok(())
    }
}

/// A device that has joined an organisation.
#[derive(uniffi::Object)]
pub struct Device {
    device: karwan_client::Device,
    clock: Arc<PhoneClock>,
}

/// Joins an organisation with an invitation's text. Needs the network, once; where it fails nothing is left behind.
///
/// `folder` is where the database lives, `witness` another folder that backups of the phone leave out, `key` 32 bytes that the
/// platform's key store keeps. `person` is who uses the phone, the device's name where nobody is named.
#[uniffi::export(default(person = None, utc_offset_minutes = 0))]
pub async fn enrol(
    folder: String,
    witness: String,
    key: Vec<u8>,
    invitation: String,
    name: String,
    person: Option<String>,
    utc_offset_minutes: i32,
) -> Result<Arc<Device>, KarwanError> {
    let key = memory_key(key)?;
    let clock = PhoneClock::at(utc_offset_minutes)?;
    let folder = place(&folder, &witness)?;
    let told_clock: Arc<dyn Clock> = clock.clone();
    let request = EnrolRequest { folder, key: Arc::new(key), clock: told_clock, invitation, name, person };
    let device = runtime::run(karwan_client::Device::enrol(request), || {}).await?;
    Ok(Arc::new(Device { device, clock }))
}

/// Opens a device that joined before. A damaged database is moved aside and what it holds is saved: [`Device::salvaged`] tells.
#[uniffi::export(default(utc_offset_minutes = 0))]
pub fn open_device(folder: String, witness: String, key: Vec<u8>, utc_offset_minutes: i32) -> Result<Arc<Device>, KarwanError> {
    let key = memory_key(key)?;
    let clock = PhoneClock::at(utc_offset_minutes)?;
    let folder = place(&folder, &witness)?;
    let device = guarded(|| karwan_client::Device::open(folder, &key, clock.clone()))?;
    Ok(Arc::new(Device { device, clock }))
}

fn memory_key(bytes: Vec<u8>) -> Result<MemoryKey, KarwanError> {
    let bytes = Zeroizing::new(bytes);
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
        KarwanError::bad_input(
            "key",
            format!("expected a key of 32 bytes, and {} came", bytes.len()),
            "Make 32 random bytes once, and keep them in the platform's key store.",
        )
    })?;
    Ok(MemoryKey(DatabaseKey::new(key)))
}

/// The device's folder with its witness elsewhere.
fn place(folder: &str, witness: &str) -> Result<Folder, KarwanError> {
    let witness_folder = PathBuf::from(witness);
    if witness_folder.starts_with(Path::new(folder)) {
        return Err(KarwanError::bad_input(
            "witness",
            "expected a witness folder outside the device's own",
            "Give a folder that backups of the phone leave out: the witness tells a restored database from the one that wrote last.",
        ));
    }
    std::fs::create_dir_all(&witness_folder)
        .map_err(|error| KarwanError::internal(format!("the witness's folder cannot be made: {}", error.kind())))?;
    Ok(Folder::new(folder).with_witness(witness_folder.join("witness")))
}

fn record_id(text: &str) -> Result<RecordId, ClientError> {
    text.parse().map_err(|_| ClientError::NoSuchRecord(text.to_owned()))
}

fn attachment_name(answer: &str) -> Result<AttachmentName, ClientError> {
    answer.parse().map_err(|_| ClientError::NotAnAttachment)
}

fn caseload_id(text: Option<&str>) -> Result<Option<CaseloadId>, KarwanError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| {
        KarwanError::bad_input("caseload", "expected the identifier of a caseload", "Take it from the list of forms.")
    })
}

impl Device {
    /// The client behind it.
    pub(crate) fn client(&self) -> &karwan_client::Device {
        &self.device
    }

    fn author(&self, person: Option<&str>) -> Result<PersonId, ClientError> {
        self.device.person_called(person)
    }
}

#[uniffi::export]
impl Device {
    /// The device's identifier.
    pub fn id(&self) -> String {
        self.device.id().to_string()
    }

    /// Name of the organisation.
    pub fn organisation(&self) -> Result<String, KarwanError> {
        guarded(|| self.device.organisation_name())
    }

    /// Who uses the device unless somebody else is named.
    pub fn person(&self) -> Result<String, KarwanError> {
        guarded(|| self.device.person_name(self.device.person()?))
    }

    /// The forms that may be filled here.
    pub fn forms(&self) -> Result<Vec<FormSummary>, KarwanError> {
        guarded(|| Ok(self.device.forms()?.into_iter().map(FormSummary::from).collect()))
    }

    /// Begins an interview. `caseload` is needed where the form is in several; `person` is somebody else than the phone's own user.
    #[uniffi::method(default(caseload = None, person = None))]
    pub fn start(&self, form: String, caseload: Option<String>, person: Option<String>) -> Result<Arc<Interview>, KarwanError> {
        let caseload = caseload_id(caseload.as_deref())?;
        guarded(|| {
            let author = self.author(person.as_deref())?;
            let collect = self.device.start(&form, caseload, author, Filling::Journalled)?;
            Ok(Arc::new(Interview::from(collect)))
        })
    }

    /// Goes on with a draft, also one that a killed app left.
    pub fn resume(&self, record: String) -> Result<Arc<Interview>, KarwanError> {
        guarded(|| Ok(Arc::new(Interview::from(self.device.resume(record_id(&record)?)?))))
    }

    /// Begins to change a finished record.
    #[uniffi::method(default(person = None))]
    pub fn edit(&self, record: String, person: Option<String>) -> Result<Arc<Interview>, KarwanError> {
        guarded(|| {
            let author = self.author(person.as_deref())?;
            Ok(Arc::new(Interview::from(self.device.edit(record_id(&record)?, author, Filling::Journalled)?)))
        })
    }

    /// Throws a draft away; the record that it would have changed stays as it is.
    pub fn discard(&self, record: String) -> Result<(), KarwanError> {
        guarded(|| self.device.discard(record_id(&record)?))
    }

    /// Interviews and entities: drafts first, then the newest first. `search` finds words in whatever script's spelling; `mine` leaves
    /// out what others made; `entities` chooses one kind, `source` one form or entity list; a `limit` of 0 is none.
    #[uniffi::method(default(entities = None, source = None, limit = 0, offset = 0))]
    pub fn list(
        &self,
        search: String,
        mine: bool,
        entities: Option<bool>,
        source: Option<String>,
        limit: u32,
        offset: u32,
    ) -> Result<Vec<RecordSummary>, KarwanError> {
        let query = ListQuery { search, mine, entities, source, limit: limit as usize, offset: offset as usize };
        guarded(|| Ok(self.device.list(&query)?.into_iter().map(RecordSummary::from).collect()))
    }

    /// A record, draft or entity with where each value is from.
    pub fn show(&self, record: String) -> Result<RecordDetail, KarwanError> {
        guarded(|| Ok(RecordDetail::from(self.device.show(&record)?)))
    }

    /// What a person must decide, of the newest records that have such items.
    pub fn open_items(&self) -> Result<Vec<OpenItem>, KarwanError> {
        guarded(|| {
            let listed = self.device.list(&ListQuery::default())?;
            let mut items = Vec::new();
            for row in listed.iter().filter(|row| row.open_items > 0).take(OPEN_RECORDS_MAX) {
                items.extend(RecordDetail::from(self.device.show(&row.record)?).items);
            }
            Ok(items)
        })
    }

    /// How far the file is that an answer refers to; nothing where it is not here and nobody asked for it.
    pub fn attachment(&self, answer: String) -> Result<Option<Attachment>, KarwanError> {
        guarded(|| Ok(self.device.attachment(&attachment_name(&answer)?)?.map(Attachment::from)))
    }

    /// Asks for the file that an answer refers to: the next sync brings it.
    pub fn want_attachment(&self, answer: String) -> Result<(), KarwanError> {
        guarded(|| self.device.want_attachment(&attachment_name(&answer)?))
    }

    /// The content of a file that is here whole, decrypted into memory: nothing of it is written anywhere.
    pub fn read_attachment(&self, answer: String) -> Result<Vec<u8>, KarwanError> {
        guarded(|| {
            let mut content = Vec::new();
            self.device.read_attachment(&attachment_name(&answer)?, &mut content)?;
            Ok(content)
        })
    }

    /// Lets a day (UTC) carry so many bytes of attachments at most, both ways together; nothing for as many as there are.
    pub fn set_data_saver(&self, bytes_a_day: Option<u64>) -> Result<(), KarwanError> {
        guarded(|| self.device.set_data_saver(bytes_a_day))
    }

    /// What the data saver allows; nothing where it is off. Both it and what a day has carried outlive the app.
    pub fn data_saver(&self) -> Result<Option<DataSaver>, KarwanError> {
        guarded(|| Ok(self.device.data_saver()?.map(DataSaver::from)))
    }

    /// Lets photographs and files go that are safe at the server, the oldest first, until all together take at most so many bytes. They are
    /// fetched again with [`Device::want_attachment`] and a sync. Takes a while where there is much.
    #[uniffi::method(default(keep_bytes = 0))]
    pub fn free_space(&self, keep_bytes: u64) -> Result<FreedSpace, KarwanError> {
        guarded(|| Ok(FreedSpace::from(self.device.free_space(keep_bytes)?)))
    }

    /// Closes the database and lets the folder go: call it before the system may freeze the app. Interviews keep what was answered.
    pub fn pause(&self) -> Result<(), KarwanError> {
        guarded(|| self.device.pause())
    }

    /// Opens the database again after [`Device::pause`].
    pub fn resume_use(&self) -> Result<(), KarwanError> {
        guarded(|| self.device.resume_use())
    }

    /// What was saved from a damaged database when this device was opened.
    pub fn salvaged(&self) -> Option<Salvage> {
        self.device.salvaged().map(Salvage::from)
    }

    /// How far the server's clock was ahead of this phone's at the last sync.
    pub fn clock_ahead_ms(&self) -> Result<Option<i64>, KarwanError> {
        guarded(|| self.device.clock_ahead_ms())
    }

    /// The phone's offset from UTC changed: it crossed a border, or summer came.
    pub fn set_utc_offset(&self, minutes: i32) -> Result<(), KarwanError> {
        self.clock.set(minutes)
    }

    /// The phone is in another network: a sync that is under way goes on there where it can. Says whether it does.
    pub fn network_changed(&self) -> Result<bool, KarwanError> {
        guarded(|| self.device.network_changed())
    }

    /// Tells this observer of changes until what is returned is closed.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> Result<Arc<Observation>, KarwanError> {
        Observation::of(&self.device, observer)
    }

    /// Syncs with the organisation's server: at `with`, an address or an invitation's text, or where it was last. Records first, then
    /// attachments; large ones wait where the network is `metered`, paid by the byte. Runs on threads of the library. Giving up the call ends the
    /// sync; what was done by then is kept.
    #[uniffi::method(default(listener = None, with = None, metered = false))]
    pub async fn sync(
        &self,
        listener: Option<Arc<dyn SyncListener>>,
        with: Option<String>,
        metered: bool,
    ) -> Result<SyncSummary, KarwanError> {
        let relay = Relay::to(listener);
        let (device, told, given_up) = (self.device.clone(), relay.clone(), relay.clone());
        let network = if metered { Network::Metered } else { Network::Free };
        let work = async move { device.sync_over_network(with.as_deref(), network, told.as_ref()).await };
        let outcome = runtime::run(work, move || given_up.give_up()).await;
        match relay.thrown() {
            Some(thrown) => Err(thrown),
            None => outcome.map(SyncSummary::from),
        }
    }
}
