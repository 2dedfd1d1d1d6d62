//! The first session of a meeting, which carries no record: who has come shows the secret, and both come to know the same decisions of the
//! organisation. Only then each can say what the other may have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karwan_proto::ids::{CaseloadId, DeviceId};
use karwan_proto::limits::MAX_MEMBERSHIP_PER_PAGE;
use karwan_proto::log::Cursor;
use karwan_proto::session::{
    Admission, DeviceEffect, DeviceSession, DeviceStart, Enrolment, Introduction, Refusal, ServerEffect, ServerSession, Welcome,
};
use karwan_store::log::Named;

use super::give::Taker;
use super::who;
use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::people::name_of;
use crate::sync::incoming::Incoming;
use crate::sync::repair;
use crate::sync::report::SyncReport;
use crate::sync::stream::{Exchange, session_error};
use crate::sync::transport::Stream;

/// Greets the device that listens, with the secret that it shows; gives what both may have.
pub(super) async fn come(
    inner: &Arc<Inner>,
    host: DeviceId,
    secret: [u8; 16],
    stream: Stream,
) -> Result<BTreeSet<CaseloadId>, ClientError> {
    let (identity, name) = {
        let store = locked(&inner.store);
        let identity = store.identity()?;
        let name = name_of(&store.view()?, identity.person)?;
        (identity, name)
    };
    let enrolment =
        Enrolment { secret, device_name: identity.device_name.clone(), person: Introduction { person: identity.person, name } };
    let start =
        DeviceStart { hello: super::hello(inner)?, enrolment: Some(enrolment), introductions: Vec::new(), blobs: Vec::new() };
    let mut incoming = Incoming::new(inner)?;
    let mut exchange = Exchange::new(stream, DeviceSession::new(start, 0).map_err(session_error)?);
    let outcome = async {
        loop {
            while let Some(effect) = exchange.session.poll() {
                match effect {
                    DeviceEffect::Send(bytes) => exchange.send(bytes),
                    DeviceEffect::NextOffer => exchange.session.offers_end().map_err(session_error)?,
                    DeviceEffect::ReadMembershipPoints => {
                        exchange.session.membership_points(repair::membership_points(inner)?).map_err(session_error)?;
                    }
                    DeviceEffect::OfferMembership { after } => {
                        exchange.session.offer_membership(&repair::membership_after(inner, after)?).map_err(session_error)?;
                    }
                    DeviceEffect::Membership { first, entries } => incoming.membership_given(first, &entries)?,
                    DeviceEffect::Settled { .. } => exchange.session.finish().map_err(session_error)?,
                    DeviceEffect::Finished(_) => return Ok(()),
                    // What else a server may say here is not another device's to say.
                    _ => {}
                }
            }
            exchange.listen().await?;
        }
    };
    let outcome: Result<(), ClientError> = outcome.await;
    exchange.close().await;
    incoming.finish(&mut SyncReport::default())?;
    outcome?;
    who::shared(&locked(&inner.membership), inner.device, host).map_err(ClientError::OtherDevice)
}

/// How a greeting ended for the device that listens.
pub(super) enum Greeted {
    /// They go on.
    Welcome(Taker),
    /// It does not know what this device shows: somebody else's mistake, or somebody who tries.
    Stranger,
    /// It is who it says, and may not.
    Refused(Refusal),
}

/// The device that listens is greeted.
pub(super) async fn host(inner: &Arc<Inner>, guest: DeviceId, secret: [u8; 16], stream: Stream) -> Result<Greeted, ClientError> {
    let mut greeting = Greeting {
        inner,
        guest,
        secret,
        incoming: Incoming::new(inner)?,
        cursors: BTreeMap::new(),
        named: None,
        refused: None,
        finished: false,
    };
    let mut exchange = Exchange::new(stream, ServerSession::new(0));
    let outcome = greeting.converse(&mut exchange).await;
    exchange.close().await;
    if outcome.is_ok() && greeting.refused.is_none() {
        let name = greeting.named.take().unwrap_or_default();
        greeting.incoming.names_given(&[Named { kind: "device".to_owned(), id: guest.0, name, body: None }])?;
    }
    greeting.incoming.finish(&mut SyncReport::default())?;
    match greeting.refused {
        Some(Refusal::SecretUnknown) => return Ok(Greeted::Stranger),
        Some(refusal) => return Ok(Greeted::Refused(refusal)),
        None => outcome?,
    }
    Ok(match who::shared(&locked(&inner.membership), inner.device, guest) {
        Ok(shared) => Greeted::Welcome(Taker { device: guest, shared, cursors: greeting.cursors }),
        Err(refusal) => Greeted::Refused(refusal),
    })
}

struct Greeting<'a> {
    inner: &'a Arc<Inner>,
    guest: DeviceId,
    secret: [u8; 16],
    incoming: Incoming<'a>,
    cursors: BTreeMap<CaseloadId, Cursor>,
    /// What it calls itself.
    named: Option<String>,
    refused: Option<Refusal>,
    finished: bool,
}

impl Greeting<'_> {
    async fn converse(&mut self, exchange: &mut Exchange<ServerSession>) -> Result<(), ClientError> {
        loop {
            while let Some(effect) = exchange.session.poll() {
                self.act(effect, exchange)?;
            }
            if self.finished {
                return Ok(());
            }
            let heard = exchange.listen().await;
            if heard.is_err() {
                while let Some(effect) = exchange.session.poll() {
                    self.act(effect, exchange)?;
                }
                return heard;
            }
        }
    }

    fn act(&mut self, effect: ServerEffect, exchange: &mut Exchange<ServerSession>) -> Result<(), ClientError> {
        let session = &mut exchange.session;
        match effect {
            ServerEffect::Send(bytes) => exchange.send(bytes),
            ServerEffect::Admit { hello, enrolment } => {
                let shown = enrolment.as_ref().map(|enrolment| enrolment.secret);
                self.named = enrolment.map(|enrolment| enrolment.device_name);
                // Hashes, so that how much of it is right does not show in time.
                if shown.is_none_or(|shown| blake3::hash(&shown) != blake3::hash(&self.secret)) {
                    self.refuse(session, Refusal::SecretUnknown);
                    return Ok(());
                }
                if hello.organisation != self.inner.identity()?.organisation {
                    self.refuse(session, Refusal::WrongOrganisation);
                    return Ok(());
                }
                self.cursors = hello.caseloads.iter().map(|held| (held.caseload, held.cursor)).collect();
                let welcome = Welcome { epoch: hello.epoch, clock_ms: self.inner.clock.now_ms(), recovering: false };
                if repair::knows_membership(self.inner, hello.membership)? {
                    match self.entitled() {
                        Ok(caseloads) => session.admit(Admission { welcome, caseloads }).map_err(session_error)?,
                        Err(refusal) => self.refuse(session, refusal),
                    }
                } else {
                    session.admit_to_repair(welcome).map_err(session_error)?;
                }
            }
            ServerEffect::FindMembershipCommon { points } => {
                let ours = locked(&self.inner.membership).cursor();
                // What it knows must follow on all that is known here: which of two histories holds, the server says.
                if repair::membership_common(self.inner, &points)? == Some(ours) {
                    session.membership_common(ours).map_err(session_error)?;
                } else {
                    self.refuse(session, Refusal::MembershipDiverged);
                }
            }
            ServerEffect::TakeMembership { entries } => {
                let next = locked(&self.inner.membership).cursor().sequence + 1;
                self.incoming.membership_given(next, &entries)?;
                session.membership_taken().map_err(session_error)?;
            }
            ServerEffect::Readmit => match self.entitled() {
                Ok(caseloads) => session.readmit(caseloads).map_err(session_error)?,
                Err(refusal) => self.refuse(session, refusal),
            },
            ServerEffect::ReadMembership { after, limit } => {
                let entries = repair::membership_after(self.inner, after)?;
                let more = entries.len() > limit;
                let page = entries.into_iter().take(limit.min(MAX_MEMBERSHIP_PER_PAGE)).collect();
                session.membership(after.sequence + 1, page, more).map_err(session_error)?;
            }
            ServerEffect::ReadDirectory { .. } => session.directory(0, false, Vec::new(), false).map_err(session_error)?,
            ServerEffect::Settled => {}
            ServerEffect::Finished(_) => self.finished = true,
            // No record is spoken of yet.
            _ => self.refuse(session, Refusal::Malformed),
        }
        Ok(())
    }

    fn entitled(&self) -> Result<BTreeSet<CaseloadId>, Refusal> {
        who::shared(&locked(&self.inner.membership), self.inner.device, self.guest)
    }

    fn refuse(&mut self, session: &mut ServerSession, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
        session.refuse(refusal);
    }
}
