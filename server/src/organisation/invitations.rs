//! Invitations: how a device joins, and what happens when it does.

use std::collections::BTreeSet;

use karwan_proto::invitation::{Invitation, secret_hash};
use karwan_proto::membership::{Act, SignedEntry};
use karwan_proto::session::{Enrolment, Introduction, Refusal};
use karwan_proto::{CaseloadId, DeviceId, PublicKey, Role};

use super::Organisation;
use super::directory::{self, Named};
use super::people::checked_name;
use crate::clock::random;
use crate::problem::Problem;

/// Longest life of an invitation.
pub const EXPIRY_MAX_MS: i64 = 90 * 24 * 3_600_000;

impl Organisation {
    /// An invitation for one device.
    pub fn invite(&self, role: Role, caseloads: &[String], life_ms: i64, addresses: Vec<String>) -> Result<Invitation, Problem> {
        if !(1..=EXPIRY_MAX_MS).contains(&life_ms) {
            return Err(Problem::input(
                "expires",
                "an invitation lives from a moment to 90 days",
                "Give --expires, such as 7d, 12h or 30m.",
            ));
        }
        if addresses.is_empty() {
            return Err(Problem::input(
                "no-address",
                "the server has no address yet that devices can reach",
                "Start it once (karwan serve ORG), or say where it will be: --address HOST:PORT.",
            ));
        }
        let caseloads = caseloads.iter().map(|name| self.caseload_named(name)).collect::<Result<BTreeSet<CaseloadId>, _>>()?;
        let (root, server) = self.certified_server()?;
        let secret: [u8; 16] = random();
        let expires_at_ms = self.now_ms() + life_ms;
        let mut core = self.writing()?;
        let act = Act::Invitation { secret_hash: secret_hash(&secret), role, caseloads: caseloads.clone(), expires_at_ms };
        self.decide(&mut core, act)?;
        drop(core);
        Ok(Invitation {
            organisation_name: self.name(),
            root,
            server,
            addresses,
            secret,
            role,
            caseloads: caseloads.into_iter().collect(),
            expires_at_ms,
            extra: karwan_proto::codec::Extra::default(),
        })
    }

    /// The root's public key and the entry with which it certified this server's.
    fn certified_server(&self) -> Result<(PublicKey, SignedEntry), Problem> {
        let own = self.server_key.public();
        let (_, entries, _) = self.membership_after(karwan_proto::Membership::start(self.id()), 64)?;
        let mut root = None;
        for signed in entries {
            match signed.open()?.act {
                Act::Root { key } => root = Some(key),
                Act::ServerKey { key } if key == own => {
                    if let Some(root) = root {
                        return Ok((root, signed));
                    }
                }
                _ => {}
            }
        }
        Err(Problem::new(
            Problem::FOLDER,
            "uncertified",
            "the root has not certified this server's key",
            "Restore the folder `keys`.",
        ))
    }

    /// A device joins; the device that used an invitation before is welcome again with it.
    pub(crate) fn enrol(&self, key: PublicKey, enrolment: &Enrolment) -> Result<Result<(), Refusal>, Problem> {
        let hash = secret_hash(&enrolment.secret);
        let mut core = self.writing()?;
        if core.recovering {
            return Ok(Err(Refusal::Recovering));
        }
        let Some(invited) = core.membership.invitations().get(&hash).cloned() else { return Ok(Err(Refusal::InvitationUnknown)) };
        if let Some(device) = invited.used_by {
            return Ok(if device == key.device() { Ok(()) } else { Err(Refusal::InvitationUsed) });
        }
        if invited.expires_at_ms < self.now_ms() {
            return Ok(Err(Refusal::InvitationExpired));
        }
        let (Ok(device_name), Ok(person_name)) = (checked_name(&enrolment.device_name), checked_name(&enrolment.person.name))
        else {
            return Ok(Err(Refusal::TooMuch));
        };
        let person = enrolment.person.person;
        let act = Act::Device { key, person, role: invited.role, caseloads: invited.caseloads.clone(), invitation: Some(hash) };
        self.decide_as_server(&mut core, act)?;
        directory::put(&core.db, Named::Device, key.device().0, device_name)?;
        if core.membership.person(person).is_some() {
            directory::put(&core.db, Named::Person, person.0, person_name)?;
        }
        Ok(Ok(()))
    }

    /// People whom a device introduces become enumerators of its caseloads.
    pub(crate) fn introduce(&self, device: DeviceId, people: &[Introduction]) -> Result<(), Problem> {
        let mut core = self.writing()?;
        let Ok(caseloads) = core.membership.readable(device) else { return Ok(()) };
        for introduction in people {
            let Ok(name) = checked_name(&introduction.name) else { continue };
            if core.membership.person(introduction.person).is_none() {
                let act = Act::Person {
                    person: introduction.person,
                    role: Role::Enumerator,
                    caseloads: caseloads.clone(),
                    cuts: Vec::new(),
                };
                self.decide_as_server(&mut core, act)?;
                directory::put(&core.db, Named::Person, introduction.person.0, name)?;
            }
        }
        Ok(())
    }
}
