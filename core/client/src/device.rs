//! One device's folder, open: the store, what it knows of its organisation, and the forms that it has read.
//!
//! Locks are taken in this order: store, membership, forms, lists. None is held while an interview computes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karwan_proto::ids::{CaseloadId, DeviceId, Hash, PersonId};
use karwan_proto::keys::SigningKey;
use karwan_proto::membership::{Membership, Role, SignedEntry};
use karwan_store::{Folder, Identity, KeyProvider, Opened, Salvaged, Store};
use rand::Rng;

use crate::clock::Clock;
use crate::enrol::{self, EnrolRequest};
use crate::error::ClientError;
use crate::forms::LoadedForm;
use crate::lists::ListCache;
use crate::observe::{Observer, Observers};
use crate::rewrite;
use crate::sync::transport::UnderWay;

/// A device that is open. Cheap to share; all of it may be used from several threads.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

/// What all parts share.
pub(crate) struct Inner {
    pub(crate) store: Mutex<Store>,
    pub(crate) membership: Mutex<Membership>,
    pub(crate) forms: Mutex<BTreeMap<Hash, Option<Arc<LoadedForm>>>>,
    pub(crate) lists: ListCache,
    pub(crate) observers: Observers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) device: DeviceId,
    pub(crate) key: SigningKey,
    /// Counts what was finished here: a sync that carries attachments sends it at once.
    pub(crate) made: tokio::sync::watch::Sender<u64>,
    /// The sync that is under way over QUIC.
    pub(crate) under_way: Mutex<Option<UnderWay>>,
    opened: Opened,
}

/// Locks; a thread that panicked while it held the lock left nothing half done, since every write is one transaction.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

impl Device {
    /// Joins an organisation with an invitation. Needs the network, once. Nothing is left behind when it fails.
    pub async fn enrol(request: EnrolRequest) -> Result<Self, ClientError> {
        enrol::enrol(request).await
    }

    /// Opens a device that was enrolled before; waits for the folder while another process uses it.
    pub fn open(folder: Folder, keys: &dyn KeyProvider, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let (store, opened) = Store::open(folder, keys)?;
        Self::of(store, opened, clock)
    }

    /// A device over its open store.
    pub(crate) fn of(mut store: Store, opened: Opened, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let identity = store.identity()?;
        let key = SigningKey::from_seed(&identity.signing_seed);
        store.drop_loose_attachments()?;
        let mut membership = Membership::new(identity.organisation);
        for bytes in store.view()?.membership()? {
            membership.replay(&SignedEntry::decode(&bytes)?)?;
        }
        let inner = Inner {
            store: Mutex::new(store),
            membership: Mutex::new(membership),
            forms: Mutex::new(BTreeMap::new()),
            lists: ListCache::default(),
            observers: Observers::default(),
            clock,
            device: key.public().device(),
            key,
            made: tokio::sync::watch::Sender::new(0),
            under_way: Mutex::default(),
            opened,
        };
        let device = Self { inner: Arc::new(inner) };
        rewrite::settle(&device.inner)?;
        Ok(device)
    }

    /// Closes the file and lets the folder go; open interviews keep what they journalled. A suspended app holds no lock.
    pub fn pause(&self) -> Result<(), ClientError> {
        Ok(locked(&self.inner.store).pause()?)
    }

    /// Takes the folder again after [`Device::pause`].
    pub fn resume_use(&self) -> Result<(), ClientError> {
        locked(&self.inner.store).resume()?;
        self.inner.lists.forget();
        rewrite::settle(&self.inner)?;
        Ok(())
    }

    /// Closes the device for good.
    pub fn close(self) -> Result<(), ClientError> {
        self.pause()
    }

    /// Deletes everything of this device, its key first. Refused while that would take the only copy of somebody's work, unless that is wanted.
    pub fn wipe(&self, keys: &dyn KeyProvider, even_work: bool) -> Result<(), ClientError> {
        let mut store = locked(&self.inner.store);
        let (drafts, unsent, not_backed_up, attachments) = {
            let view = store.view()?;
            (view.drafts()?.len() as u64, view.unsent_records()?, view.not_backed_up()?, view.attachments_only_here()?)
        };
        if !even_work && drafts + unsent + not_backed_up + attachments > 0 {
            return Err(ClientError::WorkAtStake { drafts, unsent, not_backed_up, attachments });
        }
        Ok(store.wipe(keys)?)
    }

    /// What was saved from a damaged database when this device was opened.
    pub fn salvaged(&self) -> Option<&Salvaged> {
        self.inner.opened.salvaged.as_ref()
    }

    /// The device's identifier.
    pub fn id(&self) -> DeviceId {
        self.inner.device
    }

    /// Six digits that a person compares with what `karwan devices` shows for this device, where it may do more than an enumerator: who
    /// stands between the two has other keys.
    pub fn short_code(&self) -> Result<Option<String>, ClientError> {
        let membership = locked(&self.inner.membership);
        if membership.device(self.inner.device).is_none_or(|known| known.role <= Role::Enumerator) {
            return Ok(None);
        }
        let own = self.inner.key.public();
        Ok(membership.servers().next().map(|server| own.short_code(&server)))
    }

    /// Who uses the device unless somebody else is named.
    pub fn person(&self) -> Result<PersonId, ClientError> {
        Ok(self.inner.identity()?.person)
    }

    /// Name of the organisation.
    pub fn organisation_name(&self) -> Result<String, ClientError> {
        Ok(self.inner.identity()?.organisation_name.clone())
    }

    /// How far the server's clock was ahead at the last sync, in milliseconds.
    pub fn clock_ahead_ms(&self) -> Result<Option<i64>, ClientError> {
        let bytes = locked(&self.inner.store).setting("clock_ahead_ms")?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes))
    }

    /// Tells this observer of changes until its owner drops it.
    pub fn subscribe(&self, observer: &Arc<dyn Observer>) {
        self.inner.observers.add(observer);
    }
}

impl Inner {
    /// Who this device is.
    pub(crate) fn identity(&self) -> Result<Identity, ClientError> {
        Ok(locked(&self.store).identity()?)
    }

    /// In which role somebody writes here now. Somebody whom the server does not know yet is an enumerator.
    pub(crate) fn role_here(&self, person: PersonId, caseload: CaseloadId) -> Role {
        role_of(&locked(&self.membership), person, self.device, caseload)
    }
}

/// The role that changes of this person on this device have: the lesser of the two. The server has judged whether they may write at
/// all, so a later revocation does not matter here.
pub(crate) fn role_of(membership: &Membership, person: PersonId, device: DeviceId, caseload: CaseloadId) -> Role {
    if let Ok(role) = membership.may_write(person, device, caseload) {
        return role;
    }
    let person = membership.person(person).map_or(Role::Enumerator, |person| person.role);
    // A server writes in the role of the person who decided.
    let device = membership.device(device).map_or(Role::Administrator, |device| device.role);
    person.min(device).max(Role::Enumerator)
}
