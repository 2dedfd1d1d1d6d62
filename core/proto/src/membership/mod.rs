//! Who belongs to the organisation and may do what: a fold over a signed, append-only log that every device holds. The log knows
//! opaque identifiers only. [`Membership::apply`] checks signature and authority of one entry and takes it in; the queries say what
//! stands now.
//!
//! The position of an entry is given by the log, not by its signer: after a restore, devices bring back the entries that the
//! server lost, and they still hold.

mod entry;
mod records;

pub use entry::{Act, Adopted, Cut, MembershipEntry, Role, SignedEntry, Subject, UnknownRole};
pub use records::Records;

use crate::error::{MembershipError, NotEntitled};
use crate::ids::{CaseloadId, DeviceId, Hash, OrganisationId, PersonId};
use crate::keys::PublicKey;
use crate::log::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// What stands of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub key: PublicKey,
    /// Who enrolled it.
    pub person: PersonId,
    /// The most that anybody may do on it.
    pub role: Role,
    /// Caseloads granted.
    pub caseloads: BTreeSet<CaseloadId>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Where revocation or a withdrawn grant took effect.
    pub cuts: BTreeMap<CaseloadId, u64>,
    /// The entry that made it.
    pub position: u64,
}

/// What stands of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the person is there for.
    pub role: Role,
    /// Caseloads granted.
    pub caseloads: BTreeSet<CaseloadId>,
    /// Whether the person was disabled.
    pub revoked: bool,
    /// Where revocation, demotion or a withdrawn grant took effect.
    pub cuts: BTreeMap<CaseloadId, u64>,
}

/// What stands of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// The role that it gives.
    pub role: Role,
    /// The caseloads that it gives.
    pub caseloads: BTreeSet<CaseloadId>,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// The device that used it.
    pub used_by: Option<DeviceId>,
}

/// The state after some entries of an organisation's membership log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    organisation: OrganisationId,
    cursor: Cursor,
    last: Option<Hash>,
    root: Option<PublicKey>,
    administrators: BTreeMap<PublicKey, PersonId>,
    servers: BTreeMap<PublicKey, bool>,
    caseloads: BTreeSet<CaseloadId>,
    people: BTreeMap<PersonId, Person>,
    devices: BTreeMap<DeviceId, Device>,
    invitations: BTreeMap<Hash, Invited>,
    records: Records,
}

impl Membership {
    /// Before the first entry.
    pub fn new(organisation: OrganisationId) -> Self {
        Self {
            organisation,
            cursor: Self::start(organisation),
            last: None,
            root: None,
            administrators: BTreeMap::new(),
            servers: BTreeMap::new(),
            caseloads: BTreeSet::new(),
            people: BTreeMap::new(),
            devices: BTreeMap::new(),
            invitations: BTreeMap::new(),
            records: Records::default(),
        }
    }

    /// The point before the first entry.
    pub fn start(organisation: OrganisationId) -> Cursor {
        Cursor { sequence: 0, chain: Hash(blake3::derive_key("karwan 2026 membership log", &organisation.0)) }
    }

    /// Checks an entry and takes it in.
    ///
    /// # Errors
    /// [`MembershipError`] when it is damaged, not signed by whom it says, or decided by somebody who may not; the state is then as before.
    pub fn apply(&mut self, signed: &SignedEntry) -> Result<MembershipEntry, MembershipError> {
        let entry = signed.open()?;
        self.take_in(signed, entry)
    }

    /// Takes in an entry that this replica checked before and kept in its own encrypted database: everything but the signature is checked.
    ///
    /// # Errors
    /// As [`Membership::apply`].
    pub fn replay(&mut self, signed: &SignedEntry) -> Result<MembershipEntry, MembershipError> {
        let entry = signed.open_unchecked()?;
        self.take_in(signed, entry)
    }

    fn take_in(&mut self, signed: &SignedEntry, entry: MembershipEntry) -> Result<MembershipEntry, MembershipError> {
        if entry.organisation != self.organisation {
            return Err(MembershipError::WrongOrganisation);
        }
        self.check_authority(&entry)?;
        self.check_sense(&entry)?;
        self.take_effect(&entry.act);
        self.cursor = self.cursor.after(&signed.encode());
        self.last = Some(signed.hash());
        Ok(entry)
    }

    fn check_authority(&self, entry: &MembershipEntry) -> Result<(), MembershipError> {
        let Some(root) = self.root else {
            let self_signed =
                matches!(&entry.act, Act::Root { key } if *key == entry.signer && key.organisation() == self.organisation);
            return if self_signed { Ok(()) } else { Err(MembershipError::Root) };
        };
        let by_root = entry.signer == root;
        let by_administrator = self.is_administrator(&entry.signer);
        let by_server = self.is_server(&entry.signer);
        let allowed = match &entry.act {
            Act::Root { .. } => return Err(MembershipError::Root),
            Act::Administrator { .. } | Act::ServerKey { .. } => by_root,
            Act::RetireServerKey { .. } | Act::Revoke { .. } => by_root || by_administrator,
            Act::Caseload { .. } | Act::Invitation { .. } | Act::Grant { .. } | Act::Withdraw { .. } => by_administrator,
            Act::Person { person, role, .. } => {
                by_administrator || (by_server && *role == Role::Enumerator && !self.people.contains_key(person))
            }
            Act::Device { invitation, .. } => by_administrator || (by_server && invitation.is_some()),
            Act::Erase { person, .. } | Act::ErasePart { person, .. } | Act::Move { person, .. } => {
                by_administrator || (by_server && self.is_at_least(*person, Role::DataManager))
            }
            Act::Adopt { person, .. } => by_administrator || (by_server && self.is_at_least(*person, Role::Supervisor)),
            // What a newer version lets somebody decide is unknown here, and it has no effect here.
            Act::Other { .. } => by_root || by_administrator || by_server,
        };
        if allowed { Ok(()) } else { Err(MembershipError::NotAllowed { what: entry.act.name() }) }
    }

    fn is_at_least(&self, person: PersonId, role: Role) -> bool {
        self.people.get(&person).is_some_and(|known| !known.revoked && known.role >= role)
    }

    fn check_sense(&self, entry: &MembershipEntry) -> Result<(), MembershipError> {
        let known = |exists: bool, what| if exists { Ok(()) } else { Err(MembershipError::Unknown { what }) };
        let fresh = |exists: bool, what| if exists { Err(MembershipError::Exists { what }) } else { Ok(()) };
        match &entry.act {
            Act::Root { .. } | Act::Erase { .. } | Act::ErasePart { .. } | Act::Other { .. } => Ok(()),
            Act::Move { from, to, .. } => known(self.caseloads.contains(from) && self.caseloads.contains(to), "caseload"),
            Act::Adopt { device, .. } => known(self.devices.contains_key(device), "device"),
            Act::Administrator { key, .. } => fresh(self.administrators.contains_key(key), "administrator's key"),
            Act::ServerKey { key } => fresh(self.servers.contains_key(key), "server's key"),
            Act::RetireServerKey { key } => known(self.servers.contains_key(key), "server's key"),
            Act::Caseload { caseload } => fresh(self.caseloads.contains(caseload), "caseload"),
            Act::Person { caseloads, .. } => known(caseloads.is_subset(&self.caseloads), "caseload"),
            Act::Invitation { secret_hash, caseloads, .. } => {
                known(caseloads.is_subset(&self.caseloads), "caseload")?;
                fresh(self.invitations.contains_key(secret_hash), "invitation")
            }
            Act::Device { key, person, role, caseloads, invitation } => {
                fresh(self.devices.contains_key(&key.device()) || self.servers.contains_key(key), "device")?;
                known(invitation.is_some() || self.people.contains_key(person), "person")?;
                known(caseloads.is_subset(&self.caseloads), "caseload")?;
                let Some(invitation) = invitation else { return Ok(()) };
                let invited = self.invitations.get(invitation).ok_or(MembershipError::Unknown { what: "invitation" })?;
                if invited.used_by.is_some() {
                    return Err(MembershipError::InvitationUsed);
                }
                if *role != invited.role || !caseloads.is_subset(&invited.caseloads) {
                    return Err(MembershipError::BeyondInvitation);
                }
                Ok(())
            }
            Act::Grant { subject, caseload } => {
                self.check_subject(subject)?;
                known(self.caseloads.contains(caseload), "caseload")
            }
            Act::Withdraw { subject, cut } => {
                self.check_subject(subject)?;
                known(self.caseloads.contains(&cut.caseload), "caseload")
            }
            Act::Revoke { subject, .. } => self.check_subject(subject),
        }
    }

    fn check_subject(&self, subject: &Subject) -> Result<(), MembershipError> {
        let (exists, what) = match subject {
            Subject::Person(person) => (self.people.contains_key(person), "person"),
            Subject::Device(device) => (self.devices.contains_key(device), "device"),
        };
        if exists { Ok(()) } else { Err(MembershipError::Unknown { what }) }
    }

    fn take_effect(&mut self, act: &Act) {
        match act {
            Act::Root { key } => self.root = Some(*key),
            Act::Administrator { key, person } => {
                self.administrators.insert(*key, *person);
                let role = Role::Administrator;
                self.people.insert(*person, Person { role, caseloads: BTreeSet::new(), revoked: false, cuts: BTreeMap::new() });
            }
            Act::ServerKey { key } => {
                self.servers.insert(*key, true);
            }
            Act::RetireServerKey { key } => {
                self.servers.insert(*key, false);
            }
            Act::Caseload { caseload } => {
                self.caseloads.insert(*caseload);
            }
            Act::Person { person, role, caseloads, cuts } => {
                let mut all_cuts = self.people.get(person).map(|known| known.cuts.clone()).unwrap_or_default();
                all_cuts.extend(cuts.iter().map(|cut| (cut.caseload, cut.sequence)));
                let stands = Person { role: *role, caseloads: caseloads.clone(), revoked: false, cuts: all_cuts };
                self.people.insert(*person, stands);
            }
            Act::Invitation { secret_hash, role, caseloads, expires_at_ms } => {
                let (role, caseloads, expires_at_ms) = (*role, caseloads.clone(), *expires_at_ms);
                self.invitations.insert(*secret_hash, Invited { role, caseloads, expires_at_ms, used_by: None });
            }
            Act::Device { key, person, role, caseloads, invitation } => {
                if let Some(invited) = invitation.and_then(|hash| self.invitations.get_mut(&hash)) {
                    invited.used_by = Some(key.device());
                }
                let fresh = || Person { role: *role, caseloads: caseloads.clone(), revoked: false, cuts: BTreeMap::new() };
                self.people.entry(*person).or_insert_with(fresh);
                let stands = Device {
                    key: *key,
                    person: *person,
                    role: *role,
                    caseloads: caseloads.clone(),
                    revoked: false,
                    cuts: BTreeMap::new(),
                    position: self.cursor.sequence + 1,
                };
                self.devices.insert(key.device(), stands);
            }
            Act::Grant { subject, caseload } => {
                if let Some((caseloads, ..)) = self.standing(subject) {
                    caseloads.insert(*caseload);
                }
            }
            Act::Withdraw { subject, cut } => {
                if let Some((caseloads, cuts, _)) = self.standing(subject) {
                    caseloads.remove(&cut.caseload);
                    cuts.insert(cut.caseload, cut.sequence);
                }
            }
            Act::Revoke { subject, cuts } => {
                if let Some((_, all_cuts, revoked)) = self.standing(subject) {
                    all_cuts.extend(cuts.iter().map(|cut| (cut.caseload, cut.sequence)));
                    *revoked = true;
                }
                if let Subject::Person(person) = subject {
                    self.administrators.retain(|_, holder| holder != person);
                }
            }
            Act::Erase { record, .. } => self.records.erase(*record),
            Act::ErasePart { record, generation, part, .. } => self.records.erase_part(*record, *generation, part),
            Act::Move { record, from, to, .. } => self.records.move_to(*record, *from, *to),
            Act::Adopt { adopted, .. } => self.records.adopt(adopted),
            Act::Other { .. } => {}
        }
    }

    fn standing(&mut self, subject: &Subject) -> Option<Standing<'_>> {
        match subject {
            Subject::Person(person) => {
                self.people.get_mut(person).map(|known| (&mut known.caseloads, &mut known.cuts, &mut known.revoked))
            }
            Subject::Device(device) => {
                self.devices.get_mut(device).map(|known| (&mut known.caseloads, &mut known.cuts, &mut known.revoked))
            }
        }
    }

    /// The organisation.
    pub fn organisation(&self) -> OrganisationId {
        self.organisation
    }

    /// How much of the log this state has seen.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The name of the last entry, for [`MembershipEntry::seen`].
    pub fn last(&self) -> Option<Hash> {
        self.last
    }

    /// The root's key.
    pub fn root(&self) -> Option<PublicKey> {
        self.root
    }

    /// Whether this key decides for the organisation.
    pub fn is_administrator(&self, key: &PublicKey) -> bool {
        self.administrators.contains_key(key)
    }

    /// Whether this is the key of a server that counts.
    pub fn is_server(&self, key: &PublicKey) -> bool {
        self.servers.get(key) == Some(&true)
    }

    /// Whether this is a server writing as a device, also one whose key counts no more: what it sent before counts.
    pub fn is_server_device(&self, device: DeviceId) -> bool {
        self.servers.keys().any(|key| key.device() == device)
    }

    /// Keys of servers that count.
    pub fn servers(&self) -> impl Iterator<Item = PublicKey> {
        self.servers.iter().filter(|(_, counts)| **counts).map(|(key, _)| *key)
    }

    /// All caseloads.
    pub fn caseloads(&self) -> &BTreeSet<CaseloadId> {
        &self.caseloads
    }

    /// All devices, servers left out.
    pub fn devices(&self) -> &BTreeMap<DeviceId, Device> {
        &self.devices
    }

    /// All people.
    pub fn people(&self) -> &BTreeMap<PersonId, Person> {
        &self.people
    }

    /// What was decided about records: erased, moved, adopted.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// All invitations, by the hash of their secret.
    pub fn invitations(&self) -> &BTreeMap<Hash, Invited> {
        &self.invitations
    }

    /// A device.
    pub fn device(&self, device: DeviceId) -> Option<&Device> {
        self.devices.get(&device)
    }

    /// A person.
    pub fn person(&self, person: PersonId) -> Option<&Person> {
        self.people.get(&person)
    }

    /// The key that a device, or a server writing as one, signs with; revoked ones too, since what they sent before counts.
    pub fn key_of(&self, device: DeviceId) -> Option<PublicKey> {
        let of_server = || self.servers.keys().find(|key| key.device() == device).copied();
        self.devices.get(&device).map(|known| known.key).or_else(of_server)
    }

    /// The caseloads that a device may read now.
    ///
    /// # Errors
    /// [`NotEntitled::UnknownDevice`], [`NotEntitled::DeviceRevoked`]. An operator's device may read none.
    pub fn readable(&self, device: DeviceId) -> Result<BTreeSet<CaseloadId>, NotEntitled> {
        let known = self.devices.get(&device).ok_or(NotEntitled::UnknownDevice)?;
        if known.revoked {
            return Err(NotEntitled::DeviceRevoked);
        }
        Ok(if known.role == Role::Operator { BTreeSet::new() } else { known.caseloads.clone() })
    }

    /// In which role a person may write to a caseload on a device, now: the lesser of the person's and the device's. An administrator
    /// is entitled to every caseload, and a server writes in the role of the person who decided.
    ///
    /// # Errors
    /// [`NotEntitled`] says who lacks what.
    pub fn may_write(&self, person: PersonId, device: DeviceId, caseload: CaseloadId) -> Result<Role, NotEntitled> {
        if !self.caseloads.contains(&caseload) {
            return Err(NotEntitled::UnknownCaseload);
        }
        let most = match self.devices.get(&device) {
            Some(known) if known.revoked => return Err(NotEntitled::DeviceRevoked),
            Some(known) if !known.caseloads.contains(&caseload) => return Err(NotEntitled::DeviceNotGranted),
            Some(known) => known.role,
            None if self.servers.iter().any(|(key, counts)| *counts && key.device() == device) => Role::Administrator,
            None => return Err(NotEntitled::UnknownDevice),
        };
        let author = self.people.get(&person).ok_or(NotEntitled::UnknownPerson)?;
        if author.revoked {
            return Err(NotEntitled::PersonDisabled);
        }
        if author.role != Role::Administrator && !author.caseloads.contains(&caseload) {
            return Err(NotEntitled::PersonNotGranted);
        }
        match author.role.min(most) {
            Role::Operator => Err(NotEntitled::Role(Role::Operator)),
            role => Ok(role),
        }
    }

    /// Whether an entry at this place of a caseload's log is from before everything that cut this person or device off.
    pub fn before_cuts(&self, person: PersonId, device: DeviceId, caseload: CaseloadId, sequence: u64) -> bool {
        let device_cut = self.devices.get(&device).and_then(|known| known.cuts.get(&caseload));
        let person_cut = self.people.get(&person).and_then(|known| known.cuts.get(&caseload));
        [device_cut, person_cut].into_iter().flatten().all(|cut| sequence <= *cut)
    }
}

/// Caseloads, cuts and whether revoked, of a person or a device.
type Standing<'a> = (&'a mut BTreeSet<CaseloadId>, &'a mut BTreeMap<CaseloadId, u64>, &'a mut bool);
