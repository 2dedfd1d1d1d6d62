//! Names of people, devices and caseloads, each looked up once a query.

use std::cell::RefCell;
use std::collections::BTreeMap;

use karwan_client::query::ShownValue;
use karwan_proto::{CaseloadId, DeviceId, PersonId};
use karwan_record::ItemValue;

use crate::clock::{offset_text, rfc3339};
use crate::organisation::Organisation;

/// Names that were looked up.
pub(crate) struct Names<'a> {
    organisation: &'a Organisation,
    people: RefCell<BTreeMap<PersonId, String>>,
    devices: RefCell<BTreeMap<DeviceId, String>>,
    caseloads: RefCell<BTreeMap<CaseloadId, String>>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(organisation: &'a Organisation) -> Self {
        Self { organisation, people: RefCell::default(), devices: RefCell::default(), caseloads: RefCell::default() }
    }

    pub(crate) fn person(&self, person: PersonId) -> String {
        let mut known = self.people.borrow_mut();
        known.entry(person).or_insert_with(|| self.organisation.person_name(person)).clone()
    }

    pub(crate) fn device(&self, device: DeviceId) -> String {
        let mut known = self.devices.borrow_mut();
        known.entry(device).or_insert_with(|| self.organisation.device_name(device)).clone()
    }

    pub(crate) fn caseload(&self, caseload: CaseloadId) -> String {
        let mut known = self.caseloads.borrow_mut();
        known.entry(caseload).or_insert_with(|| self.organisation.caseload_name(caseload)).clone()
    }

    pub(crate) fn value(&self, value: &ItemValue) -> ShownValue {
        ShownValue {
            value: value.value.clone(),
            device: self.device(value.device),
            author: self.person(value.person),
            time: rfc3339(value.at_ms),
            offset: offset_text(value.offset_minutes),
        }
    }
}
