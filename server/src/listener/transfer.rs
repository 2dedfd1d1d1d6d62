//! One stream of attachments: does what [`ServerTransfer`] says, and reads the next piece only when the stream has taken the last.

use std::collections::BTreeSet;
use std::time::Duration;

use karwan_proto::Hash;
use karwan_proto::attachment::{Decline, ServerTransfer, ServerTransferEffect};
use karwan_proto::limits::SESSION_IDLE_MS;
use karwan_proto::session::Refusal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Peer;
use super::session::{blocking, refusal};
use crate::attachments::Answer;
use crate::problem::Problem;

/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 * 1024;

/// A stream of attachments.
pub(super) struct Transfer {
    peer: Peer,
    session: ServerTransfer,
    out: Vec<u8>,
    /// Bytes that came and are not kept yet.
    came: Option<Came>,
    /// Numbers that were declined in the middle.
    declined: BTreeSet<u64>,
    /// Numbers that were asked for once more.
    again: BTreeSet<u64>,
}

/// Bytes of an attachment that follow one another.
struct Came {
    number: u64,
    hash: Hash,
    offset: u64,
    bytes: Vec<u8>,
}

enum Moved {
    In(std::io::Result<usize>),
    Out(std::io::Result<usize>),
}

impl Transfer {
    /// With a device that has proved its key.
    pub(super) fn of(peer: Peer) -> Self {
        Self {
            peer,
            session: ServerTransfer::new(),
            out: Vec::new(),
            came: None,
            declined: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }

    /// The whole of it; `first` has come already.
    pub(super) async fn run(
        mut self,
        send: &mut (impl AsyncWrite + Unpin),
        receive: &mut (impl AsyncRead + Unpin),
        first: &[u8],
    ) {
        let device = self.peer.key.device();
        let mut buffer = vec![0; READ_BYTES];
        let mut ended = false;
        if let Err(error) = self.session.receive(first) {
            tracing::warn!(%device, %error, "attachments ended");
        }
        loop {
            if let Err(problem) = self.work().await {
                tracing::error!(code = problem.code, error = problem.error, "carrying attachments failed");
                self.session.refuse(refusal(&problem));
                self.effects_out();
                ended = true;
            }
            if ended && self.out.is_empty() {
                break;
            }
            let out = &self.out;
            let moved = tokio::time::timeout(Duration::from_millis(SESSION_IDLE_MS), async {
                tokio::select! {
                    read = receive.read(&mut buffer), if !ended => Moved::In(read),
                    written = send.write(out), if !out.is_empty() => Moved::Out(written),
                }
            });
            match moved.await {
                Ok(Moved::In(Ok(0))) => ended = true,
                Ok(Moved::In(Ok(many))) => {
                    // What is refused is said before the end.
                    if let Err(error) = self.session.receive(buffer.get(..many).unwrap_or_default()) {
                        tracing::warn!(%device, %error, "attachments ended");
                        ended = true;
                    }
                }
                Ok(Moved::Out(Ok(many))) if many > 0 => drop(self.out.drain(..many)),
                // The device is gone, or neither says nor takes anything.
                _ => break,
            }
        }
        send.shutdown().await.ok();
    }

    /// Does all that the session asks for, and hands out the next piece where the stream takes one.
    async fn work(&mut self) -> Result<(), Problem> {
        while let Some(effect) = self.session.poll() {
            self.answer(effect).await?;
        }
        self.keep().await?;
        if self.out.is_empty()
            && let Some(wish) = self.session.next_piece()
        {
            let organisation = self.peer.organisation.clone();
            let bytes = blocking(move || organisation.attachment_piece(wish.hash, wish.offset, wish.length)).await?;
            self.session.piece(wish, bytes).map_err(|_| fault())?;
            self.effects_out();
        }
        Ok(())
    }

    fn effects_out(&mut self) {
        while let Some(effect) = self.session.poll() {
            if let ServerTransferEffect::Send(bytes) = effect {
                self.out.extend_from_slice(&bytes);
            }
        }
    }

    /// Writes what came.
    async fn keep(&mut self) -> Result<(), Problem> {
        let Some(Came { number, hash, offset, bytes }) = self.came.take() else { return Ok(()) };
        let (organisation, device) = (self.peer.organisation.clone(), self.peer.key.device());
        if let Err(retry_after_ms) = self.peer.quotas.count_attachment(device, bytes.len(), organisation.now_ms()) {
            tracing::warn!(%device, "its share of the day for attachments is used up");
            self.declined.insert(number);
            return self.say(number, Answer::Declined(Decline::ShareUsed { retry_after_ms }));
        }
        blocking(move || organisation.attachment_piece_came(device, hash, offset, &bytes)).await
    }

    async fn answer(&mut self, effect: ServerTransferEffect) -> Result<(), Problem> {
        let (organisation, device) = (self.peer.organisation.clone(), self.peer.key.device());
        match effect {
            ServerTransferEffect::Send(bytes) => self.out.extend_from_slice(&bytes),
            ServerTransferEffect::Admit { organisation: theirs } => {
                let known = blocking(move || Ok(organisation.membership()?.key_of(device).is_some())).await?;
                if theirs != self.peer.organisation.id() {
                    self.session.refuse(Refusal::WrongOrganisation);
                } else if known {
                    // What a revoked device made before it knew waits for a supervisor, and so does what belongs to it.
                    self.session.admit().map_err(|_| fault())?;
                } else {
                    self.session.refuse(Refusal::UnknownDevice);
                }
            }
            ServerTransferEffect::Brought { number, hash, length } => {
                let answer = blocking(move || organisation.attachment_brought(device, hash, length)).await?;
                self.say(number, answer)?;
            }
            ServerTransferEffect::Store { number, .. } | ServerTransferEffect::Whole { number, .. }
                if self.declined.contains(&number) => {}
            ServerTransferEffect::Store { number, hash, offset, mut bytes } => match &mut self.came {
                Some(came) if came.number == number => came.bytes.append(&mut bytes),
                _ => {
                    self.keep().await?;
                    self.came = Some(Came { number, hash, offset, bytes });
                }
            },
            ServerTransferEffect::Whole { number, hash } => {
                self.keep().await?;
                if self.declined.contains(&number) {
                    return Ok(());
                }
                let holds = blocking(move || organisation.attachment_came(device, hash)).await?;
                // What is damaged is asked for once more: a process may have been killed in the middle of a write. A device may also say
                // what is not true.
                let answer = match (holds, self.again.insert(number)) {
                    (true, _) => Answer::Kept,
                    (false, true) => Answer::GoOn(0),
                    (false, false) => Answer::Declined(Decline::Damaged),
                };
                self.say(number, answer)?;
            }
            ServerTransferEffect::Fetched { number, hash } => {
                match blocking(move || organisation.attachment_for(device, hash)).await? {
                    Some(length) => self.session.coming(number, length),
                    None => self.session.absent(number),
                }
                .map_err(|_| fault())?;
            }
            ServerTransferEffect::Finished => {}
        }
        Ok(())
    }

    fn say(&mut self, number: u64, answer: Answer) -> Result<(), Problem> {
        match answer {
            Answer::Kept => self.session.kept(number),
            Answer::GoOn(offset) => self.session.go_on(number, offset),
            Answer::Declined(decline) => self.session.decline(number, decline),
        }
        .map_err(|_| fault())
    }
}

fn fault() -> Problem {
    Problem::new(Problem::FAILED, "session", "the attachments took another course", "Sync again.")
}
