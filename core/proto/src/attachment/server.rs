//! The server's side of a stream of attachments: [`ServerTransfer`].

use std::collections::{BTreeMap, VecDeque};

use super::PieceWish;
use super::frame::{Decline, TransferFrame};
use crate::error::{FrameError, SessionError};
use crate::ids::{Hash, OrganisationId};
use crate::limits::{MAX_TRANSFERS_OUTSTANDING, PIECE_BYTES};
use crate::session::{Refusal, Traffic};
use crate::wire::{FrameReader, write_frame};

/// What the driver of a [`ServerTransfer`] has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTransferEffect {
    /// Write these bytes to the stream.
    Send(Vec<u8>),
    /// Who is this? The transport knows the peer's key. Answer with [`ServerTransfer::admit`] or [`ServerTransfer::refuse`].
    Admit {
        /// The organisation that the device takes itself to belong to.
        organisation: OrganisationId,
    },
    /// The device can give this one: answer with [`ServerTransfer::go_on`], [`ServerTransfer::kept`] or [`ServerTransfer::decline`].
    Brought {
        /// Its number.
        number: u64,
        /// The attachment.
        hash: Hash,
        /// Its length.
        length: u64,
    },
    /// Keep these bytes; they follow on those kept before.
    Store {
        /// Its number.
        number: u64,
        /// The attachment.
        hash: Hash,
        /// Where they begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// All of it has come: check it, make it durable, and answer as to [`ServerTransferEffect::Brought`].
    Whole {
        /// Its number.
        number: u64,
        /// The attachment.
        hash: Hash,
    },
    /// The device wants this one: answer with [`ServerTransfer::coming`] or [`ServerTransfer::absent`].
    Fetched {
        /// Its number.
        number: u64,
        /// The attachment.
        hash: Hash,
    },
    /// The stream is over: it was refused.
    Finished,
}

#[derive(Debug)]
struct Brought {
    hash: Hash,
    length: u64,
    next: Option<u64>,
}

#[derive(Debug)]
struct Fetched {
    hash: Hash,
    next: u64,
    left: u64,
    length: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Asked,
    Open,
    Over,
}

/// The server's side.
#[derive(Debug)]
pub struct ServerTransfer {
    reader: FrameReader,
    effects: VecDeque<ServerTransferEffect>,
    stage: Stage,
    brought: BTreeMap<u64, Brought>,
    fetched: BTreeMap<u64, Fetched>,
    next_brought: u64,
    next_fetched: u64,
    traffic: Traffic,
}

impl Default for ServerTransfer {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerTransfer {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self {
            reader: FrameReader::new(),
            effects: VecDeque::new(),
            stage: Stage::Opening,
            brought: BTreeMap::new(),
            fetched: BTreeMap::new(),
            next_brought: 0,
            next_fetched: 0,
            traffic: Traffic::default(),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<ServerTransferEffect> {
        self.effects.pop_front()
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.brought.is_empty() && self.fetched.is_empty()
    }

    /// What crossed the stream.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The device may go on.
    ///
    /// # Errors
    /// [`SessionError`]; the stream is of no more use.
    pub fn admit(&mut self) -> Result<(), SessionError> {
        if self.stage != Stage::Asked {
            return Err(SessionError::Driver("admission"));
        }
        self.stage = Stage::Open;
        self.take_all()
    }

    /// Ends the stream.
    pub fn refuse(&mut self, refusal: Refusal) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.brought.clear();
            self.fetched.clear();
            self.send(&TransferFrame::Refused(refusal));
            self.effects.push_back(ServerTransferEffect::Finished);
        }
    }

    /// Asks for one that was brought from a byte on.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where nothing was asked.
    pub fn go_on(&mut self, number: u64, offset: u64) -> Result<(), SessionError> {
        let brought = self.brought.get_mut(&number).ok_or(SessionError::Driver("what was brought"))?;
        if offset > brought.length {
            return Err(SessionError::Driver("what was brought"));
        }
        brought.next = Some(offset);
        let (hash, whole) = (brought.hash, offset == brought.length);
        self.send(&TransferFrame::GoOn { number, offset });
        if whole {
            self.effects.push_back(ServerTransferEffect::Whole { number, hash });
        }
        Ok(())
    }

    /// One that was brought is here whole, checked and durable.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where nothing was asked.
    pub fn kept(&mut self, number: u64) -> Result<(), SessionError> {
        self.brought.remove(&number).ok_or(SessionError::Driver("what was brought"))?;
        self.send(&TransferFrame::Kept { number });
        Ok(())
    }

    /// One that was brought is not taken now. Pieces of it that are under way are passed over.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where nothing was asked.
    pub fn decline(&mut self, number: u64, decline: Decline) -> Result<(), SessionError> {
        self.brought.remove(&number).ok_or(SessionError::Driver("what was brought"))?;
        self.send(&TransferFrame::Declined { number, decline });
        Ok(())
    }

    /// One that was fetched is here, with this length.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where nothing was asked.
    pub fn coming(&mut self, number: u64, length: u64) -> Result<(), SessionError> {
        let fetched = self.fetched.get_mut(&number).ok_or(SessionError::Driver("what was fetched"))?;
        if length < fetched.next {
            // The device holds more of it than there is: what it holds is something else.
            return self.absent(number);
        }
        fetched.length = Some(length);
        let over = fetched.next == length || fetched.left == 0;
        self.send(&TransferFrame::Coming { number, length });
        if over {
            self.fetched.remove(&number);
        }
        Ok(())
    }

    /// One that was fetched is not to be had now.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where nothing was asked.
    pub fn absent(&mut self, number: u64) -> Result<(), SessionError> {
        self.fetched.remove(&number).ok_or(SessionError::Driver("what was fetched"))?;
        self.send(&TransferFrame::Absent { number });
        Ok(())
    }

    /// What may be sent next: of the first one that was asked for.
    pub fn next_piece(&self) -> Option<PieceWish> {
        self.fetched.iter().find_map(|(number, fetched)| {
            let left = fetched.length?.checked_sub(fetched.next)?.min(fetched.left);
            let length = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            (length > 0).then_some(PieceWish { number: *number, hash: fetched.hash, offset: fetched.next, length })
        })
    }

    /// Sends the piece that [`ServerTransfer::next_piece`] named.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where it is another one.
    pub fn piece(&mut self, wish: PieceWish, bytes: Vec<u8>) -> Result<(), SessionError> {
        if self.next_piece() != Some(wish) || bytes.len() != wish.length {
            return Err(SessionError::Driver("a piece"));
        }
        let many = bytes.len() as u64;
        if let Some(fetched) = self.fetched.get_mut(&wish.number) {
            fetched.next += many;
            fetched.left -= many;
            if fetched.length == Some(fetched.next) || fetched.left == 0 {
                self.fetched.remove(&wish.number);
            }
        }
        self.send(&TransferFrame::Piece { number: wish.number, offset: wish.offset, bytes });
        Ok(())
    }

    /// Takes in bytes of the stream.
    ///
    /// # Errors
    /// [`SessionError`]: the device was told, and the stream is of no more use.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.traffic.bytes_in += bytes.len() as u64;
        self.reader.push(bytes);
        self.take_all()
    }

    /// The stream ended.
    ///
    /// # Errors
    /// [`SessionError::CutOff`] where something was under way.
    pub fn ended(&self) -> Result<(), SessionError> {
        self.reader.end()?;
        if self.brought.is_empty() { Ok(()) } else { Err(SessionError::CutOff) }
    }

    fn take_all(&mut self) -> Result<(), SessionError> {
        // What comes after Carry waits until the driver has said who it is.
        while matches!(self.stage, Stage::Opening | Stage::Open) {
            let taken = match self.reader.next_payload() {
                Ok(None) => return Ok(()),
                Ok(Some(payload)) => {
                    self.traffic.frames_in += 1;
                    let number = self.reader.frames();
                    TransferFrame::decode(&payload)
                        .map_err(|cause| FrameError::Codec { number, cause }.into())
                        .and_then(|frame| self.take(frame))
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = taken {
                let limit = matches!(error, SessionError::TooMany { .. });
                self.refuse(if limit { Refusal::TooMuch } else { Refusal::Malformed });
                return Err(error);
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: TransferFrame) -> Result<(), SessionError> {
        let out_of_place = |expected| SessionError::OutOfPlace { expected, came: frame.name() };
        match &frame {
            TransferFrame::Carry { organisation } if self.stage == Stage::Opening => {
                self.stage = Stage::Asked;
                self.effects.push_back(ServerTransferEffect::Admit { organisation: *organisation });
            }
            _ if self.stage == Stage::Opening => return Err(out_of_place("Carry")),
            TransferFrame::Bring { number, hash, length } => {
                if *number != self.next_brought {
                    return Err(out_of_place("the next number"));
                }
                within(self.brought.len())?;
                self.next_brought += 1;
                self.brought.insert(*number, Brought { hash: *hash, length: *length, next: None });
                self.effects.push_back(ServerTransferEffect::Brought { number: *number, hash: *hash, length: *length });
            }
            TransferFrame::Fetch { number, hash, offset, limit } => {
                if *number != self.next_fetched {
                    return Err(out_of_place("the next number"));
                }
                within(self.fetched.len())?;
                self.next_fetched += 1;
                self.fetched.insert(*number, Fetched { hash: *hash, next: *offset, left: *limit, length: None });
                self.effects.push_back(ServerTransferEffect::Fetched { number: *number, hash: *hash });
            }
            TransferFrame::Piece { number, offset, bytes } => {
                // Of one that was declined, pieces may be under way.
                let Some(brought) = self.brought.get_mut(number) else {
                    return if *number < self.next_brought { Ok(()) } else { Err(out_of_place("what was brought")) };
                };
                let many = bytes.len() as u64;
                let next = brought.next.ok_or_else(|| out_of_place("an answer to GoOn"))?;
                if *offset != next || many == 0 || many > brought.length - next {
                    return Err(out_of_place("the next piece"));
                }
                brought.next = Some(next + many);
                let (number, hash, whole) = (*number, brought.hash, next + many == brought.length);
                self.effects.push_back(ServerTransferEffect::Store { number, hash, offset: next, bytes: bytes.clone() });
                if whole {
                    self.effects.push_back(ServerTransferEffect::Whole { number, hash });
                }
            }
            TransferFrame::Other { .. } => {}
            _ => return Err(out_of_place("a frame of a device")),
        }
        Ok(())
    }

    fn send(&mut self, frame: &TransferFrame) {
        let bytes = write_frame(&frame.encode());
        self.traffic.bytes_out += bytes.len() as u64;
        self.traffic.frames_out += 1;
        self.effects.push_back(ServerTransferEffect::Send(bytes));
    }
}

fn within(under_way: usize) -> Result<(), SessionError> {
    if under_way < MAX_TRANSFERS_OUTSTANDING {
        return Ok(());
    }
    Err(SessionError::TooMany { what: "attachments under way", limit: MAX_TRANSFERS_OUTSTANDING })
}
