//! After the records of a meeting: photographs and files that the server is not known to have go to the other, so that they come home with whichever of
//! the two comes first. The streams are those on which a device brings attachments to a server: who gives is the device, who takes the server.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use karwan_proto::attachment::{Decline, DeviceTransfer, DeviceTransferEffect, ServerTransfer, ServerTransferEffect};
use karwan_proto::ids::{CaseloadId, Hash, RecordId};
use karwan_proto::session::Refusal;
use karwan_store::{Batch, StoreError, View};

use super::IDLE_TIMEOUT;
use crate::device::{Inner, locked};
use crate::error::ClientError;
use crate::sync::report::{Carried, Listener, Phase, Progress};
use crate::sync::stream::{Moved, move_bytes, session_error};
use crate::sync::transport::Stream;

/// Bytes of files that one meeting brings each way at most.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files that one meeting brings each way at most.
const FILES_MAX: usize = 4_096;
/// Bytes read from the stream at a time: what one transaction keeps.
const READ_BYTES: usize = 64 * 1024;
/// How long the last bytes may take on their way out.
const FLUSH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Gives the other what records of these caseloads refer to; the smallest go first.
pub(super) async fn give(
    inner: &Arc<Inner>,
    listener: &dyn Listener,
    shared: &BTreeSet<CaseloadId>,
    mut stream: Stream,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    let mut waiting = to_give(inner, shared)?;
    let mut session = DeviceTransfer::new(inner.identity()?.organisation);
    let (mut out, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    let mut sent = BTreeSet::new();
    loop {
        while session.may_bring()
            && let Some((hash, length)) = waiting.pop_front()
        {
            session.bring(hash, length).map_err(session_error)?;
        }
        while let Some(effect) = session.poll() {
            match effect {
                DeviceTransferEffect::Send(bytes) => out.extend_from_slice(&bytes),
                DeviceTransferEffect::Kept { hash } => carried.up += u64::from(sent.contains(&hash)),
                DeviceTransferEffect::Declined { .. } => carried.waiting += 1,
                // Nothing is fetched here.
                _ => return Err(ClientError::Session("the other device said what only a server says".to_owned())),
            }
        }
        if out.is_empty()
            && let Some(wish) = session.next_piece()
        {
            let bytes = locked(&inner.store).view()?.attachment_piece(wish.hash, wish.offset, wish.length)?;
            if bytes.len() != wish.length {
                return Err(ClientError::Store(StoreError::NotFound { what: "attachment" }));
            }
            sent.insert(wish.hash);
            carried.bytes_up += bytes.len() as u64;
            session.piece(wish, bytes).map_err(session_error)?;
            continue;
        }
        (carried.frame_bytes_up, carried.frame_bytes_down) = (session.traffic().bytes_out, session.traffic().bytes_in);
        if session.is_idle() && waiting.is_empty() && out.is_empty() {
            break;
        }
        tell(listener, carried)?;
        if let Moved::In(many) = move_bytes(&mut stream, &mut out, &mut buffer, IDLE_TIMEOUT).await? {
            if many == 0 {
                return Err(ClientError::Interrupted("the other device ended it".to_owned()));
            }
            session.receive(buffer.get(..many).unwrap_or_default()).map_err(session_error)?;
        }
    }
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, stream.send.finish()).await;
    Ok(())
}

/// Takes what the other gives and records here refer to.
pub(super) async fn take(
    inner: &Arc<Inner>,
    listener: &dyn Listener,
    shared: &BTreeSet<CaseloadId>,
    mut stream: Stream,
    carried: &mut Carried,
) -> Result<(), ClientError> {
    let mut taking = Taking { inner, shared, session: ServerTransfer::new(), files: 0, promised: 0, over: false };
    let (mut out, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        while taking.act(&mut out, carried)? {}
        let traffic = taking.session.traffic();
        (carried.frame_bytes_up, carried.frame_bytes_down) = (traffic.bytes_out, traffic.bytes_in);
        if taking.over && out.is_empty() {
            break;
        }
        tell(listener, carried)?;
        match move_bytes(&mut stream, &mut out, &mut buffer, IDLE_TIMEOUT).await? {
            Moved::In(0) => {
                taking.session.ended().map_err(session_error)?;
                taking.over = true;
            }
            Moved::In(many) => {
                let received = taking.session.receive(buffer.get(..many).unwrap_or_default());
                if received.is_err() {
                    // What was handed out before stands.
                    while taking.act(&mut out, carried)? {}
                }
                received.map_err(session_error)?;
            }
            Moved::Out => {}
        }
    }
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, stream.send.finish()).await;
    Ok(())
}

/// The side that takes.
struct Taking<'a> {
    inner: &'a Arc<Inner>,
    shared: &'a BTreeSet<CaseloadId>,
    session: ServerTransfer,
    /// How many were taken up, and their bytes.
    files: usize,
    promised: u64,
    over: bool,
}

impl Taking<'_> {
    /// Does what the session says, in one transaction; says whether there was anything.
    fn act(&mut self, out: &mut Vec<u8>, carried: &mut Carried) -> Result<bool, ClientError> {
        let mut effects = Vec::new();
        while let Some(effect) = self.session.poll() {
            match effect {
                ServerTransferEffect::Send(bytes) => out.extend_from_slice(&bytes),
                other => effects.push(other),
            }
        }
        if effects.is_empty() {
            return Ok(false);
        }
        let inner = self.inner;
        let organisation = inner.identity()?.organisation;
        let mut store = locked(&inner.store);
        store.write(|batch| {
            for effect in effects {
                match effect {
                    ServerTransferEffect::Admit { organisation: theirs } if theirs == organisation => {
                        self.session.admit().map_err(session_error)?;
                    }
                    ServerTransferEffect::Admit { .. } => self.session.refuse(Refusal::WrongOrganisation),
                    ServerTransferEffect::Brought { number, hash, length } => self.answer(batch, number, hash, length)?,
                    ServerTransferEffect::Store { hash, offset, bytes, .. } => {
                        carried.bytes_down += bytes.len() as u64;
                        batch.append_attachment(hash, offset, &bytes)?;
                    }
                    ServerTransferEffect::Whole { number, hash } if batch.view().attachment_holds(hash)? => {
                        carried.down += 1;
                        batch.set_attachment_given(hash)?;
                        self.session.kept(number).map_err(session_error)?;
                    }
                    ServerTransferEffect::Whole { number, hash } => {
                        batch.restart_attachment(hash)?;
                        self.session.decline(number, Decline::Damaged).map_err(session_error)?;
                    }
                    ServerTransferEffect::Fetched { number, .. } => self.session.absent(number).map_err(session_error)?,
                    ServerTransferEffect::Finished => self.over = true,
                    ServerTransferEffect::Send(_) => {}
                }
            }
            Ok::<_, ClientError>(())
        })?;
        Ok(true)
    }

    /// What to say to one that the other can give.
    fn answer(&mut self, batch: &Batch<'_>, number: u64, hash: Hash, length: u64) -> Result<(), ClientError> {
        let view = batch.view();
        let known = view.attachment(hash)?;
        let said = match known {
            Some(known) if known.whole => self.session.kept(number),
            known => {
                let held = known.map_or(0, |known| known.held);
                let left = length.saturating_sub(held);
                let fits = self.files < FILES_MAX && left <= BYTES_MAX - self.promised && held <= length && length > 0;
                if fits && is_of_shared(&view, self.inner, self.shared, hash)? {
                    self.files += 1;
                    self.promised += left;
                    batch.expect_attachment(hash, length)?;
                    self.session.go_on(number, held)
                } else {
                    self.session.decline(number, Decline::TooLarge)
                }
            }
        };
        said.map_err(session_error)
    }
}

/// What records of these caseloads refer to and the server is not known to have, with lengths.
fn to_give(inner: &Arc<Inner>, shared: &BTreeSet<CaseloadId>) -> Result<VecDeque<(Hash, u64)>, ClientError> {
    let store = locked(&inner.store);
    let epoch = store.epoch()?;
    let view = store.view()?;
    let (mut going, mut bytes) = (VecDeque::new(), 0);
    for known in view.attachments_to_bring(epoch)? {
        let Some(length) = known.length else { continue };
        if going.len() >= FILES_MAX || bytes + length > BYTES_MAX {
            break;
        }
        if is_of_shared(&view, inner, shared, known.hash)? {
            bytes += length;
            going.push_back((known.hash, length));
        }
    }
    Ok(going)
}

/// Whether a record refers to an attachment that both of the two may read.
fn is_of_shared(view: &View<'_>, inner: &Inner, shared: &BTreeSet<CaseloadId>, hash: Hash) -> Result<bool, ClientError> {
    let uses: Vec<(RecordId, CaseloadId)> = view.attachment_uses(hash)?;
    let membership = locked(&inner.membership);
    let decided = membership.records();
    Ok(uses.into_iter().any(|(record, began)| !decided.is_erased(record) && shared.contains(&decided.caseload(record, began))))
}

fn tell(listener: &dyn Listener, carried: &Carried) -> Result<(), ClientError> {
    let progress = Progress {
        bytes_up: carried.frame_bytes_up,
        bytes_down: carried.frame_bytes_down,
        attachment_bytes_up: carried.bytes_up,
        attachment_bytes_down: carried.bytes_down,
        ..Progress::at(Phase::Carrying)
    };
    if listener.progress(&progress) { Ok(()) } else { Err(ClientError::Cancelled) }
}
