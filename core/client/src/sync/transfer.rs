//! Attachments to the server and from it, on a stream of their own behind the records: what is here and not there, and what somebody asked for.
//! Whatever came stays, so a stream that breaks anywhere goes on there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use karwan_proto::attachment::{Decline, DeviceTransfer, DeviceTransferEffect};
use karwan_proto::ids::Hash;
use karwan_proto::limits::SESSION_IDLE_MS;
use karwan_store::{Batch, StoreError};

use super::report::{Carried, Listener, Phase, Progress};
use super::stream::{Moved, move_bytes, session_error};
use super::transport::Stream;
use crate::attachments::{METERED_BYTES_MAX, Network};
use crate::device::{Inner, locked};
use crate::error::ClientError;

/// Bytes read from the stream at a time: what one transaction keeps.
const READ_BYTES: usize = 64 * 1024;
/// Bytes after which the data saver writes down what was spent.
const SPENT_AT_ONCE: u64 = 256 * 1024;
/// How long the last bytes may take on their way out.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// One stream of attachments from the device's side.
pub(crate) struct Transfer<'a> {
    inner: &'a Arc<Inner>,
    listener: &'a dyn Listener,
    session: DeviceTransfer,
    epoch: u64,
    /// The server gives out what it has.
    fetches: bool,
    /// The server takes no more today.
    full: bool,
    /// Something ended: another may begin.
    room: bool,
    /// Tried in this stream.
    tried: BTreeSet<Hash>,
    out: Vec<u8>,
    /// Longest attachment that goes over this network.
    longest: u64,
    /// What is left of the day's bytes, where the data saver is on.
    left: Option<u64>,
    /// Bytes carried that the data saver has not counted yet.
    unspent: u64,
    carried: Carried,
}

impl<'a> Transfer<'a> {
    /// A stream for all that there is to carry.
    pub(crate) fn of(
        inner: &'a Arc<Inner>,
        listener: &'a dyn Listener,
        network: Network,
        recovering: bool,
    ) -> Result<Self, ClientError> {
        let (organisation, epoch) = {
            let store = locked(&inner.store);
            (store.identity()?.organisation, store.epoch()?)
        };
        Ok(Self {
            inner,
            listener,
            session: DeviceTransfer::new(organisation),
            epoch,
            fetches: !recovering,
            full: false,
            room: true,
            tried: BTreeSet::new(),
            out: Vec::new(),
            longest: if network == Network::Metered { METERED_BYTES_MAX } else { u64::MAX },
            left: inner.data_saver()?.map(|saver| saver.left_today),
            unspent: 0,
            carried: Carried::default(),
        })
    }

    /// Whether there is nothing that may be carried now.
    pub(crate) fn has_nothing(&mut self) -> Result<bool, ClientError> {
        self.fill()?;
        Ok(self.session.is_idle())
    }

    /// What was carried.
    pub(crate) fn carried(&self) -> Carried {
        let traffic = self.session.traffic();
        Carried { frame_bytes_up: traffic.bytes_out, frame_bytes_down: traffic.bytes_in, ..self.carried }
    }

    /// Carries everything, what is added meanwhile too.
    pub(crate) async fn run(&mut self, stream: Stream) -> Result<(), ClientError> {
        let outcome = self.converse(stream).await;
        self.spend(0)?;
        outcome
    }

    async fn converse(&mut self, mut stream: Stream) -> Result<(), ClientError> {
        let mut buffer = vec![0; READ_BYTES];
        let idle = Duration::from_millis(SESSION_IDLE_MS);
        loop {
            self.effects()?;
            if self.room || self.session.is_idle() {
                self.fill()?;
                self.effects()?;
            }
            if self.out.is_empty() {
                self.send_piece()?;
            }
            if (self.session.is_idle() || self.is_spent()) && self.out.is_empty() {
                break;
            }
            if !self.tell(Phase::Carrying) {
                return Err(ClientError::Cancelled);
            }
            if let Moved::In(many) = move_bytes(&mut stream, &mut self.out, &mut buffer, idle).await? {
                if many == 0 {
                    self.session.ended().map_err(session_error)?;
                    return Err(ClientError::Interrupted("the server ended it".to_owned()));
                }
                let received = self.session.receive(buffer.get(..many).unwrap_or_default());
                if received.is_err() {
                    // What was handed out before stands.
                    self.effects()?;
                }
                received.map_err(session_error)?;
            }
        }
        // The server has said everything: that it hears of the end is a courtesy.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, stream.send.finish()).await;
        self.tell(Phase::Done);
        Ok(())
    }

    /// Begins with what waits, as far as the stream takes it.
    fn fill(&mut self) -> Result<(), ClientError> {
        self.room = false;
        let (to_bring, wanted) = {
            let store = locked(&self.inner.store);
            let view = store.view()?;
            let to_bring = if self.full { Vec::new() } else { view.attachments_to_bring(self.epoch)? };
            (to_bring, if self.fetches { view.attachments_wanted()? } else { Vec::new() })
        };
        for known in to_bring {
            let Some(length) = known.length else { continue };
            if !self.session.may_bring() || !self.tried.insert(known.hash) {
                continue;
            }
            if length > self.longest || !self.may_begin() {
                self.carried.waiting += 1;
                continue;
            }
            self.session.bring(known.hash, length).map_err(session_error)?;
        }
        for known in wanted {
            if !self.session.may_fetch() || !self.tried.insert(known.hash) {
                continue;
            }
            let limit = self.longest.saturating_sub(known.held).min(self.left.unwrap_or(u64::MAX));
            if limit == 0 || known.length.is_some_and(|length| length > self.longest) || !self.may_begin() {
                self.carried.waiting += 1;
                continue;
            }
            self.session.fetch(known.hash, known.held, limit).map_err(session_error)?;
        }
        Ok(())
    }

    /// Where bytes are counted one goes after the other, so that what is begun is over before the next.
    fn may_begin(&self) -> bool {
        self.left.is_none() || (self.session.is_idle() && !self.is_spent())
    }

    /// The day's bytes are used up.
    fn is_spent(&self) -> bool {
        self.left == Some(0)
    }

    /// Counts bytes that went or came; they are written now and then, and at the end.
    fn spend(&mut self, bytes: u64) -> Result<(), ClientError> {
        let Some(left) = &mut self.left else { return Ok(()) };
        *left = left.saturating_sub(bytes);
        self.unspent += bytes;
        if self.unspent >= SPENT_AT_ONCE || bytes == 0 {
            self.inner.spend(std::mem::take(&mut self.unspent))?;
        }
        Ok(())
    }

    /// Does what the session says; what is to be kept is one transaction.
    fn effects(&mut self) -> Result<(), ClientError> {
        let mut effects = Vec::new();
        while let Some(effect) = self.session.poll() {
            match effect {
                DeviceTransferEffect::Send(bytes) => self.out.extend_from_slice(&bytes),
                other => effects.push(other),
            }
        }
        if effects.is_empty() {
            return Ok(());
        }
        let before = self.carried.bytes_down;
        {
            let mut store = locked(&self.inner.store);
            store.write(|batch| effects.into_iter().try_for_each(|effect| self.keep(batch, effect)))?;
        }
        match self.carried.bytes_down - before {
            0 => Ok(()),
            came => self.spend(came),
        }
    }

    /// Keeps what the session says; room for another follows from all but pieces.
    fn keep(&mut self, batch: &Batch<'_>, effect: DeviceTransferEffect) -> Result<(), ClientError> {
        self.room |= !matches!(effect, DeviceTransferEffect::Store { .. });
        match effect {
            DeviceTransferEffect::Kept { hash } => {
                self.carried.up += 1;
                batch.set_attachment_kept(hash, self.epoch)?;
            }
            // Tomorrow is another day.
            DeviceTransferEffect::Declined { decline: Decline::ShareUsed { .. }, .. } => {
                self.full = true;
                self.carried.waiting += 1;
            }
            DeviceTransferEffect::Declined { hash, decline } => {
                self.carried.declined += 1;
                batch.set_attachment_declined(hash, &decline.to_string())?;
            }
            DeviceTransferEffect::Coming { hash, length } => batch.set_attachment_length(hash, length)?,
            DeviceTransferEffect::Store { hash, offset, bytes } => {
                self.carried.bytes_down += bytes.len() as u64;
                batch.append_attachment(hash, offset, &bytes)?;
            }
            DeviceTransferEffect::Came { hash, whole: true } => {
                if batch.view().attachment_holds(hash)? {
                    self.carried.down += 1;
                    batch.set_attachment_whole(hash, self.epoch)?;
                } else {
                    // The next sync fetches it anew.
                    self.carried.waiting += 1;
                    batch.restart_attachment(hash)?;
                }
            }
            DeviceTransferEffect::Came { whole: false, .. } | DeviceTransferEffect::Absent { .. } => self.carried.waiting += 1,
            DeviceTransferEffect::Send(_) => {}
        }
        Ok(())
    }

    /// Hands out the next piece.
    fn send_piece(&mut self) -> Result<(), ClientError> {
        let Some(wish) = self.session.next_piece() else { return Ok(()) };
        if self.left.is_some_and(|left| left < wish.length as u64) {
            // The rest goes another day.
            self.carried.waiting += 1;
            self.left = Some(0);
            return Ok(());
        }
        let bytes = locked(&self.inner.store).view()?.attachment_piece(wish.hash, wish.offset, wish.length)?;
        if bytes.len() != wish.length {
            // It was let go while it was on its way, or its rows are lost.
            return Err(ClientError::Store(StoreError::NotFound { what: "attachment" }));
        }
        self.carried.bytes_up += bytes.len() as u64;
        self.spend(bytes.len() as u64)?;
        self.session.piece(wish, bytes).map_err(session_error)?;
        self.effects()
    }

    fn tell(&self, phase: Phase) -> bool {
        let carried = self.carried();
        self.listener.progress(&Progress {
            bytes_up: carried.frame_bytes_up,
            bytes_down: carried.frame_bytes_down,
            attachment_bytes_up: carried.bytes_up,
            attachment_bytes_down: carried.bytes_down,
            ..Progress::at(phase)
        })
    }
}
