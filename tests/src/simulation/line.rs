//! The line between a phone and the server: it loses, doubles, exchanges and damages frames, or breaks.
//!
//! A stream over QUIC does none of this but break; a peer, a relay or a fault in the transport may. What harms the way up silences the way
//! down, so that what the phone hears does not depend on who was quicker.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use karwan_client::sync::report::Quiet;
use karwan_client::{ClientError, Device, SyncReport};
use karwan_proto::SignedHeader;
use karwan_proto::session::Frame;
use karwan_proto::wire::{FrameReader, write_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::runtime::Runtime;

use crate::home::{Server, quiesce};

/// What a stream in memory holds before its writer waits.
const PIPE_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 64 * 1024;
/// What a phone shows that another is to meet.
const SECRET: [u8; 16] = [1; 16];
/// After a frame was harmed: rounds in which everybody could have said something and nobody did, after which the line is given up. More than the
/// server does one after the other without a word.
const SILENT_ROUNDS: u32 = 16;

/// Sessions of a meeting: the greeting, then each phone gives.
pub const MEETING_SESSIONS: usize = 3;

/// What happens to one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The line breaks before it.
    Cut,
    /// It is lost, and what follows comes.
    Lost,
    Twice,
    /// The next one comes first.
    Exchanged,
    /// One bit of it is another.
    Damaged(u32),
}

/// How a session's line behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Good,
    /// Harm to this frame on its way to the server.
    Up(Harm, u64),
    /// Harm to this frame on its way to the phone.
    Down(Harm, u64),
    /// Planted: offers are acknowledged and never reach the server.
    Boastful,
}

/// One way of the line.
struct Way<'a> {
    /// Whether the harm found its frame.
    struck: &'a Cell<bool>,
    /// Bytes that came on either way so far: who waits for silence looks whether they grow.
    moved: &'a Cell<u64>,
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    harm: Option<(Harm, u64)>,
    silent: bool,
    /// The frame after which a harmed way ends.
    is_last: fn(&Frame) -> bool,
    swallowed: Option<&'a RefCell<Vec<(u64, karwan_proto::Hash)>>>,
}

impl Harm {
    /// Its name among the faults.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Cut => "line cut",
            Self::Lost => "frame lost",
            Self::Twice => "frame doubled",
            Self::Exchanged => "frames exchanged",
            Self::Damaged(_) => "frame damaged",
        }
    }
}

impl Way<'_> {
    async fn carry(mut self) {
        self.forward().await;
        self.to.shutdown().await.ok();
        // Who still speaks speaks to nobody; all that it says is taken, so that it is not stopped in the middle.
        let mut buffer = vec![0u8; READ_BYTES];
        while matches!(self.from.read(&mut buffer).await, Ok(1..)) {}
    }

    /// Until the sender has said everything or the line breaks.
    async fn forward(&mut self) {
        let mut reader = FrameReader::new();
        let mut buffer = vec![0u8; READ_BYTES];
        let (mut number, mut held) = (0u64, None::<(Frame, Vec<u8>)>);
        loop {
            while let Ok(Some(payload)) = reader.next_payload() {
                let Ok(frame) = Frame::decode(&payload) else { return };
                let mut bytes = write_frame(&payload);
                let harm = self.harm.filter(|(_, at)| *at == number).map(|(harm, _)| harm);
                number += 1;
                if harm.is_some() {
                    self.struck.set(true);
                }
                let last = self.harm.is_some_and(|(_, at)| number > at || self.silences()) && (self.is_last)(&frame);
                match harm {
                    Some(Harm::Cut) => return,
                    Some(Harm::Lost) => {}
                    Some(Harm::Exchanged) if !last => held = Some((frame, bytes)),
                    _ => {
                        match harm {
                            Some(Harm::Twice) => self.give(&frame, &bytes).await,
                            Some(Harm::Damaged(bit)) => {
                                let place = bit as usize % (bytes.len() * 8);
                                bytes[place / 8] ^= 1 << (place % 8);
                            }
                            _ => {}
                        }
                        self.give(&frame, &bytes).await;
                        if let Some((frame, bytes)) = held.take() {
                            self.give(&frame, &bytes).await;
                        }
                    }
                }
                if last {
                    return;
                }
            }
            let harmed = self.harm.is_some_and(|(_, at)| number > at || self.silences());
            let read = if harmed { self.read_until_silence(&mut buffer).await } else { self.from.read(&mut buffer).await.ok() };
            match read {
                Some(length @ 1..) => {
                    self.moved.set(self.moved.get() + length as u64);
                    reader.push(&buffer[..length]);
                }
                _ => return,
            }
        }
    }

    /// `None` where nothing comes although everybody has done what there was to do: no clock says so, which would be another world on a busy
    /// machine.
    async fn read_until_silence(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let (mut silent, mut moved) = (0, self.moved.get());
        while silent < SILENT_ROUNDS {
            let read = {
                let mut reading = pin!(self.from.read(buffer));
                poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await
            };
            if let Poll::Ready(read) = read {
                return read.ok();
            }
            tokio::task::yield_now().await;
            silent = if self.moved.get() == moved { silent + 1 } else { 0 };
            moved = self.moved.get();
        }
        None
    }

    /// Harm on the way up silences the way down, so a harmed way up ends with its offers.
    fn silences(&self) -> bool {
        (self.is_last)(&Frame::OffersEnd)
    }

    async fn give(&mut self, frame: &Frame, bytes: &[u8]) {
        if self.silent {
            return;
        }
        if let (Some(swallowed), Frame::Offer { number, envelope }) = (self.swallowed, frame) {
            let name = SignedHeader::peek(envelope).map(|signed| signed.hash());
            swallowed.borrow_mut().extend(name.ok().map(|name| (*number, name)));
            return;
        }
        // Who does not read any more is found out on the other way.
        self.to.write_all(bytes).await.ok();
        if let (Some(swallowed), Frame::Welcome(_)) = (self.swallowed, frame) {
            for (number, envelope) in swallowed.take() {
                let receipt = Frame::Receipt { number, envelope, sequence: 1 };
                self.to.write_all(&write_frame(&receipt.encode())).await.ok();
            }
        }
    }
}

/// One session over a line; says too whether the harm that was ordered struck.
pub fn sync_over(runtime: &Runtime, phone: &Device, server: &Server, line: Line) -> (Result<SyncReport, ClientError>, bool) {
    let (phone_end, near) = duplex(PIPE_BYTES);
    let (far, server_end) = duplex(PIPE_BYTES);
    let (moved, struck) = (Cell::new(0), Cell::new(false));
    runtime.block_on(async {
        let (receive, send) = split(phone_end);
        let between = carry_both(near, far, line, (&moved, &struck));
        let outcome = tokio::join!(phone.sync_over(send, receive, &Quiet), between, server.serve(phone.id(), server_end)).0;
        quiesce().await;
        (outcome, struck.get())
    })
}

/// Carries what is said between two ends, each way, over a line of this kind.
async fn carry_both(near: DuplexStream, far: DuplexStream, line: Line, (moved, struck): (&Cell<u64>, &Cell<bool>)) {
    let swallowed = RefCell::new(Vec::new());
    let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
    let swallowed = (line == Line::Boastful).then_some(&swallowed);
    let (harm_up, harm_down) = match line {
        Line::Up(harm, at) => (Some((harm, at)), None),
        Line::Down(harm, at) => (None, Some((harm, at))),
        Line::Good | Line::Boastful => (None, None),
    };
    let is_offers_end = |frame: &Frame| matches!(frame, Frame::OffersEnd);
    let is_done = |frame: &Frame| matches!(frame, Frame::Done { .. });
    let up = Way { struck, moved, from: near_in, to: far_out, harm: harm_up, silent: false, is_last: is_offers_end, swallowed };
    let silent = harm_up.is_some();
    let down = Way { struck, moved, from: far_in, to: near_out, harm: harm_down, silent, is_last: is_done, swallowed };
    tokio::join!(up.carry(), down.carry());
}

/// A meeting of two phones, of which one session has a line of this kind; what each came to, the guest first, and whether the harm that was ordered
/// struck.
pub fn meet_over(
    runtime: &Runtime,
    (guest, host): (&Device, &Device),
    (harmed, line): (usize, Line),
) -> ([Result<SyncReport, ClientError>; 2], bool) {
    let (moved, struck) = (Cell::new(0), Cell::new(false));
    let (mut of_guest, mut of_host, mut carried) = (Vec::new(), Vec::new(), Vec::new());
    for session in 0..MEETING_SESSIONS {
        let (guest_end, guest_side) = duplex(PIPE_BYTES);
        let (host_side, host_end) = duplex(PIPE_BYTES);
        of_guest.push(sent_and_received(guest_end));
        of_host.push(sent_and_received(host_end));
        // In the session in the middle the host is the device, which goes up.
        let (near, far) = if session == 1 { (host_side, guest_side) } else { (guest_side, host_side) };
        carried.push(carry_both(near, far, if session == harmed { line } else { Line::Good }, (&moved, &struck)));
    }
    runtime.block_on(async {
        let comes = guest.sync_with_over(host.id(), SECRET, of_guest, &Quiet);
        let listens = host.meet_over(guest.id(), SECRET, of_host, &Quiet);
        let mut carried = carried.into_iter();
        let mut next = || carried.next().expect("a line for each session");
        let (greeting, first, second) = (next(), next(), next());
        let (came, listened, ..) = tokio::join!(comes, listens, greeting, first, second);
        quiesce().await;
        ([came, listened], struck.get())
    })
}

fn sent_and_received(end: DuplexStream) -> (WriteHalf<DuplexStream>, ReadHalf<DuplexStream>) {
    let (receive, send) = split(end);
    (send, receive)
}
