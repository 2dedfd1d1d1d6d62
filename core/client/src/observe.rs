//! Who wants to know that something changed: screens that list or show records.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use karwan_proto::ids::RecordId;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These records, and the entities that they write to.
    Records(Vec<RecordId>),
    /// The forms of this device.
    Forms,
    /// Names or rights.
    People,
}

/// Is told after every commit that changes what a screen may show. Called on the thread that wrote; must return soon.
pub trait Observer: Send + Sync {
    /// Something changed.
    fn changed(&self, changed: &Changed);
}

/// Those who asked. An observer that its owner dropped is forgotten.
#[derive(Default)]
pub(crate) struct Observers(Mutex<Vec<Weak<dyn Observer>>>);

impl Observers {
    /// Adds one.
    pub(crate) fn add(&self, observer: &Arc<dyn Observer>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(observer));
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, changed: &Changed) {
        let observers: Vec<Arc<dyn Observer>> = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|observer| observer.strong_count() > 0);
            known.iter().filter_map(Weak::upgrade).collect()
        };
        for observer in observers {
            observer.changed(changed);
        }
    }
}
