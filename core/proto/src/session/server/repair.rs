//! The server's part of repair: it asks for the membership entries that it lacks before it takes in anything else, and for the envelopes
//! that its logs lack.

use super::{Progress, ServerEffect, ServerSession, Stage};
use crate::envelope::SignedHeader;
use crate::error::SessionError;
use crate::ids::CaseloadId;
use crate::limits::MAX_MEMBERSHIP_OFFERED;
use crate::log::Cursor;
use crate::session::frame::{Frame, Introduction, Rejection};
use crate::session::repair::{Prefix, RepairFrame, Testimony};
use std::collections::BTreeSet;

/// How far the repair of the membership log is. Until it is done nothing else is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// The device is to send points.
    AwaitPoints,
    /// The driver looks for the common point.
    Finding,
    /// The device is to send entries.
    AwaitEntries,
    /// The driver takes entries in; whether they are the last.
    Taking { last: bool },
    /// The driver says anew what the device may have.
    Admitting,
}

/// What waits for the end of the repair.
#[derive(Debug, Default)]
pub(super) struct Repairing {
    pub(super) stage: Option<Repair>,
    introductions: Vec<Introduction>,
    entries: usize,
}

impl Repairing {
    /// Whether the driver works on it: no further frame is handled meanwhile.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.stage, Some(Repair::Finding | Repair::Taking { .. } | Repair::Admitting))
    }
}

impl ServerSession {
    /// Asks for what the device holds of the membership log and this server lacks. Offers are put off until it is here.
    pub(super) fn ask_for_membership(&mut self) {
        self.repairing.stage = Some(Repair::AwaitPoints);
        self.ends_awaited += 1;
        self.send(&Frame::Repair(RepairFrame::MembershipMismatch));
    }

    /// Answers `ServerEffect::FindMembershipCommon`.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn membership_common(&mut self, cursor: Cursor) -> Result<(), SessionError> {
        if self.repairing.stage != Some(Repair::Finding) {
            return Err(SessionError::Driver("a common point of the membership log"));
        }
        self.repairing.stage = Some(Repair::AwaitEntries);
        // From here on the device is told anew, names too: they may have been lost with the log.
        self.membership = cursor;
        self.directory_version = 0;
        self.send(&Frame::Repair(RepairFrame::MembershipCommon(cursor)));
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::TakeMembership`: those that hold are durable.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn membership_taken(&mut self) -> Result<(), SessionError> {
        let Some(Repair::Taking { last }) = self.repairing.stage else {
            return Err(SessionError::Driver("membership entries taken in"));
        };
        if last {
            self.repairing.stage = Some(Repair::Admitting);
            self.effects.push_back(ServerEffect::Readmit);
        } else {
            self.repairing.stage = Some(Repair::AwaitEntries);
        }
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::Readmit`, or [`ServerSession::refuse`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when that was not asked.
    pub fn readmit(&mut self, caseloads: BTreeSet<CaseloadId>) -> Result<(), SessionError> {
        if self.repairing.stage != Some(Repair::Admitting) {
            return Err(SessionError::Driver("a second admission"));
        }
        self.repairing.stage = None;
        self.admit_to(caseloads);
        let people = std::mem::take(&mut self.repairing.introductions);
        if !people.is_empty() {
            self.introducing = true;
            self.effects.push_back(ServerEffect::Introduce(people));
        }
        self.advance();
        Ok(())
    }

    /// Answers `ServerEffect::FindLacking`.
    ///
    /// # Errors
    /// None now; kept for limits.
    pub fn lacking(&mut self, caseload: CaseloadId, prefixes: Vec<Prefix>) -> Result<(), SessionError> {
        self.send(&Frame::Repair(RepairFrame::Lacking { caseload, prefixes }));
        self.advance();
        Ok(())
    }

    /// Introductions that come while the membership log is repaired wait for its end.
    pub(super) fn introduce(&mut self, people: Vec<Introduction>) {
        if self.repairing.stage.is_some() {
            self.repairing.introductions = people;
            return;
        }
        self.introducing = true;
        self.effects.push_back(ServerEffect::Introduce(people));
    }

    /// Takes in an offer, or puts it off.
    pub(super) fn offered(&mut self, number: u64, envelope: Vec<u8>, testimony: Option<Testimony>) -> Result<(), SessionError> {
        if number != self.next_number {
            return Err(SessionError::OutOfPlace { expected: "the next number", came: "Offer" });
        }
        self.next_number += 1;
        match SignedHeader::peek(&envelope) {
            Err(_) => self.send(&Frame::Rejected { number, rejection: Rejection::Malformed }),
            Ok(_) if self.repairing.stage.is_some() => self.send(&Frame::Repair(RepairFrame::Deferred { number })),
            Ok(signed) => {
                self.ingesting.insert(number, signed.hash());
                self.effects.push_back(ServerEffect::Ingest { number, signed, envelope, testimony });
            }
        }
        Ok(())
    }

    /// Takes in a frame of repair.
    pub(super) fn repair(&mut self, frame: RepairFrame) -> Result<(), SessionError> {
        match frame {
            RepairFrame::MembershipPoints(points) if self.repairing.stage == Some(Repair::AwaitPoints) => {
                self.repairing.stage = Some(Repair::Finding);
                self.effects.push_back(ServerEffect::FindMembershipCommon { points });
            }
            RepairFrame::OfferMembership { entries, last } if self.repairing.stage == Some(Repair::AwaitEntries) => {
                self.repairing.entries += entries.len();
                if self.repairing.entries > MAX_MEMBERSHIP_OFFERED {
                    return Err(SessionError::TooMany { what: "membership entries", limit: MAX_MEMBERSHIP_OFFERED });
                }
                self.repairing.stage = Some(Repair::Taking { last });
                self.effects.push_back(ServerEffect::TakeMembership { entries });
            }
            // Who may have what is not known yet: everything is to be offered, and put off.
            RepairFrame::Prefixes { caseload, prefixes } if self.repairing.stage.is_some() => {
                self.send(&Frame::Repair(RepairFrame::Lacking { caseload, prefixes }));
            }
            RepairFrame::Prefixes { caseload, prefixes } if self.ends_awaited > 0 => {
                self.effects.push_back(ServerEffect::FindLacking { caseload, prefixes });
            }
            RepairFrame::Reoffer { number, envelope, testimony } if self.ends_awaited > 0 => {
                self.offered(number, envelope, Some(testimony))?;
            }
            RepairFrame::OfferForms { caseload, entries } if self.recovering && self.stage == Stage::Taking => {
                self.effects.push_back(ServerEffect::FormsOffered { caseload, entries });
            }
            RepairFrame::OfferNames(rows) if self.recovering && self.stage == Stage::Taking => {
                self.effects.push_back(ServerEffect::NamesOffered(rows));
            }
            other => return Err(SessionError::OutOfPlace { expected: "another frame here", came: other.name() }),
        }
        Ok(())
    }

    /// What the device may read from here on.
    pub(super) fn admit_to(&mut self, caseloads: BTreeSet<CaseloadId>) {
        let Some(hello) = &self.hello else { return };
        let held: std::collections::BTreeMap<CaseloadId, Cursor> =
            hello.caseloads.iter().map(|held| (held.caseload, held.cursor)).collect();
        // A server that has forgotten grants must not take caseloads away.
        if !self.recovering {
            for caseload in held.keys().filter(|caseload| !caseloads.contains(caseload)) {
                self.send(&Frame::Withdrawn { caseload: *caseload });
            }
        }
        if !self.enrolling {
            for caseload in caseloads {
                let cursor = held.get(&caseload).copied().unwrap_or_else(|| Cursor::start_of(caseload));
                self.progress.insert(caseload, Progress::At(cursor));
            }
        }
    }
}
