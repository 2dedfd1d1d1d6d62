//! The device's part of repair: what it brings back to a server that has lost something.

use super::{DeviceEffect, DeviceSession};
use crate::codec::encode;
use crate::directory::DirectoryRow;
use crate::error::SessionError;
use crate::ids::{CaseloadId, Hash};
use crate::limits::{
    MAX_BLOBS_PER_FRAME, MAX_DIRECTORY_PER_PAGE, MAX_FORMS_PER_FRAME, MAX_MEMBERSHIP_PER_PAGE, MAX_POINTS, MAX_PREFIXES_PER_FRAME,
};
use crate::log::{Cursor, LogEntry};
use crate::membership::SignedEntry;
use crate::session::frame::Frame;
use crate::session::repair::{Prefix, RepairFrame, Testimony};

/// What is under way of repair.
#[derive(Debug, Default)]
pub(super) struct Repairing {
    /// The server waits for membership entries.
    pub(super) membership: bool,
    /// The device asked what is lacking in this caseload.
    pub(super) asked: Option<CaseloadId>,
}

impl DeviceSession {
    /// Answers [`DeviceEffect::NextOffer`] with beginnings of envelopes' names; [`DeviceEffect::Lacking`] says which of them to offer.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when nothing was asked, [`SessionError::TooMany`].
    pub fn prefixes(&mut self, caseload: CaseloadId, prefixes: Vec<Prefix>) -> Result<(), SessionError> {
        if prefixes.len() > MAX_PREFIXES_PER_FRAME {
            return Err(SessionError::TooMany { what: "prefixes", limit: MAX_PREFIXES_PER_FRAME });
        }
        self.take_offer_question()?;
        self.repairing.asked = Some(caseload);
        self.summary.round_trips += 1;
        self.send(&Frame::Repair(RepairFrame::Prefixes { caseload, prefixes }));
        Ok(())
    }

    /// Answers [`DeviceEffect::NextOffer`] with an envelope that a log had which is no more.
    ///
    /// # Errors
    /// As [`DeviceSession::offer`].
    pub fn reoffer(&mut self, envelope: Vec<u8>, testimony: Testimony) -> Result<(), SessionError> {
        let number = self.numbered(&envelope)?;
        self.send(&Frame::Repair(RepairFrame::Reoffer { number, envelope, testimony }));
        Ok(())
    }

    /// Answers [`DeviceEffect::ReadMembershipPoints`]: points of the membership log, newest first.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when they were not asked for, [`SessionError::TooMany`].
    pub fn membership_points(&mut self, points: Vec<Cursor>) -> Result<(), SessionError> {
        if !self.repairing.membership {
            return Err(SessionError::Driver("points of the membership log"));
        }
        if points.len() > MAX_POINTS {
            return Err(SessionError::TooMany { what: "points", limit: MAX_POINTS });
        }
        self.summary.round_trips += 1;
        self.send(&Frame::Repair(RepairFrame::MembershipPoints(points)));
        Ok(())
    }

    /// Answers [`DeviceEffect::OfferMembership`] with all entries after that point, in order.
    ///
    /// # Errors
    /// [`SessionError::Driver`] when they were not asked for.
    pub fn offer_membership(&mut self, entries: &[SignedEntry]) -> Result<(), SessionError> {
        if !std::mem::take(&mut self.repairing.membership) {
            return Err(SessionError::Driver("membership entries"));
        }
        let mut pages: Vec<&[SignedEntry]> = entries.chunks(MAX_MEMBERSHIP_PER_PAGE).collect();
        let end = pages.pop().unwrap_or_default();
        for page in pages {
            self.send(&Frame::Repair(RepairFrame::OfferMembership { entries: page.to_vec(), last: false }));
        }
        self.send(&Frame::Repair(RepairFrame::OfferMembership { entries: end.to_vec(), last: true }));
        Ok(())
    }

    /// Brings back names, forms and blobs to a server that recovers, before the last [`DeviceSession::offers_end`].
    ///
    /// # Errors
    /// [`SessionError::Driver`] when no offer was asked for.
    pub fn bring_back(
        &mut self,
        names: &[DirectoryRow],
        forms: &[(CaseloadId, LogEntry)],
        blobs: &[(Hash, u64)],
    ) -> Result<(), SessionError> {
        if !self.asked_for_offer {
            return Err(SessionError::Driver("what is brought back"));
        }
        for page in names.chunks(MAX_DIRECTORY_PER_PAGE) {
            self.send(&Frame::Repair(RepairFrame::OfferNames(page.to_vec())));
        }
        for run in forms.chunk_by(|(left, _), (right, _)| left == right) {
            for page in run.chunks(MAX_FORMS_PER_FRAME) {
                let Some((caseload, _)) = page.first() else { continue };
                let entries = page.iter().map(|(_, entry)| encode(entry)).collect();
                self.send(&Frame::Repair(RepairFrame::OfferForms { caseload: *caseload, entries }));
            }
        }
        for page in blobs.chunks(MAX_BLOBS_PER_FRAME) {
            self.send(&Frame::OfferBlobs(page.to_vec()));
        }
        Ok(())
    }

    /// Takes in a frame of repair.
    pub(super) fn repair(&mut self, frame: RepairFrame) -> Result<(), SessionError> {
        match frame {
            RepairFrame::MembershipMismatch => {
                if std::mem::replace(&mut self.repairing.membership, true) {
                    return Err(SessionError::OutOfPlace { expected: "one mismatch", came: "MembershipMismatch" });
                }
                self.ends_owed += 1;
                self.effects.push_back(DeviceEffect::ReadMembershipPoints);
            }
            RepairFrame::MembershipCommon(after) if self.repairing.membership => {
                self.membership = after.sequence;
                self.effects.push_back(DeviceEffect::OfferMembership { after });
            }
            RepairFrame::Deferred { number } => {
                let Some((envelope, _)) = self.offered.remove(&number) else {
                    return Err(SessionError::OutOfPlace { expected: "an answer to an offer", came: "Deferred" });
                };
                self.effects.push_back(DeviceEffect::Deferred { envelope });
            }
            RepairFrame::Lacking { caseload, prefixes } if self.repairing.asked == Some(caseload) => {
                self.repairing.asked = None;
                self.effects.push_back(DeviceEffect::Lacking { caseload, prefixes });
            }
            other => return Err(SessionError::OutOfPlace { expected: "a frame of a server", came: other.name() }),
        }
        Ok(())
    }
}
