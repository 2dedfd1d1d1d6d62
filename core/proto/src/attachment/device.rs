//! The device's side of a stream of attachments: [`DeviceTransfer`].

use std::collections::{BTreeMap, VecDeque};

use super::PieceWish;
use super::frame::{Decline, TransferFrame};
use crate::error::{FrameError, SessionError};
use crate::ids::{Hash, OrganisationId};
use crate::limits::{MAX_TRANSFERS_OUTSTANDING, PIECE_BYTES};
use crate::session::Traffic;
use crate::wire::{FrameReader, write_frame};

/// What the driver of a [`DeviceTransfer`] has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceTransferEffect {
    /// Write these bytes to the stream.
    Send(Vec<u8>),
    /// The server has it whole and durable.
    Kept {
        /// The attachment.
        hash: Hash,
    },
    /// The server does not take it now.
    Declined {
        /// The attachment.
        hash: Hash,
        /// Why.
        decline: Decline,
    },
    /// One that was fetched begins to come.
    Coming {
        /// The attachment.
        hash: Hash,
        /// Its length.
        length: u64,
    },
    /// Keep these bytes of one that was fetched; they follow on those kept before.
    Store {
        /// The attachment.
        hash: Hash,
        /// Where they begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// All of it, or all that was asked for, has come: check it where it is whole.
    Came {
        /// The attachment.
        hash: Hash,
        /// Whether that was its end.
        whole: bool,
    },
    /// It is not to be had now.
    Absent {
        /// The attachment.
        hash: Hash,
    },
}

#[derive(Debug)]
struct Brought {
    hash: Hash,
    length: u64,
    /// The next byte to be sent, once the server said from where.
    next: Option<u64>,
    /// The server asked for it from the beginning again, since what came was damaged.
    again: bool,
}

#[derive(Debug)]
struct Fetched {
    hash: Hash,
    next: u64,
    left: u64,
    length: Option<u64>,
}

/// The device's side.
#[derive(Debug)]
pub struct DeviceTransfer {
    reader: FrameReader,
    effects: VecDeque<DeviceTransferEffect>,
    brought: BTreeMap<u64, Brought>,
    fetched: BTreeMap<u64, Fetched>,
    next_brought: u64,
    next_fetched: u64,
    traffic: Traffic,
}

impl DeviceTransfer {
    /// Begins a stream.
    pub fn new(organisation: OrganisationId) -> Self {
        let mut transfer = Self {
            reader: FrameReader::new(),
            effects: VecDeque::new(),
            brought: BTreeMap::new(),
            fetched: BTreeMap::new(),
            next_brought: 0,
            next_fetched: 0,
            traffic: Traffic::default(),
        };
        transfer.send(&TransferFrame::Carry { organisation });
        transfer
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<DeviceTransferEffect> {
        self.effects.pop_front()
    }

    /// Whether another attachment may be brought now.
    pub fn may_bring(&self) -> bool {
        self.brought.len() < MAX_TRANSFERS_OUTSTANDING
    }

    /// Whether another attachment may be fetched now.
    pub fn may_fetch(&self) -> bool {
        self.fetched.len() < MAX_TRANSFERS_OUTSTANDING
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.brought.is_empty() && self.fetched.is_empty()
    }

    /// What crossed the stream.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Offers an attachment of this length.
    ///
    /// # Errors
    /// [`SessionError::TooMany`] where too many are under way.
    pub fn bring(&mut self, hash: Hash, length: u64) -> Result<(), SessionError> {
        if !self.may_bring() {
            return Err(SessionError::TooMany { what: "attachments under way", limit: MAX_TRANSFERS_OUTSTANDING });
        }
        let number = self.next_brought;
        self.next_brought += 1;
        self.brought.insert(number, Brought { hash, length, next: None, again: false });
        self.send(&TransferFrame::Bring { number, hash, length });
        Ok(())
    }

    /// Asks for an attachment from a byte on, and for so many bytes at most.
    ///
    /// # Errors
    /// [`SessionError::TooMany`] where too many are under way.
    pub fn fetch(&mut self, hash: Hash, offset: u64, limit: u64) -> Result<(), SessionError> {
        if !self.may_fetch() {
            return Err(SessionError::TooMany { what: "attachments under way", limit: MAX_TRANSFERS_OUTSTANDING });
        }
        let number = self.next_fetched;
        self.next_fetched += 1;
        self.fetched.insert(number, Fetched { hash, next: offset, left: limit, length: None });
        self.send(&TransferFrame::Fetch { number, hash, offset, limit });
        Ok(())
    }

    /// What may be sent next: of the first one that the server waits for, so that each is whole as soon as can be.
    pub fn next_piece(&self) -> Option<PieceWish> {
        self.brought.iter().find_map(|(number, brought)| {
            let offset = brought.next.filter(|next| *next < brought.length)?;
            let length = usize::try_from(brought.length - offset).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            Some(PieceWish { number: *number, hash: brought.hash, offset, length })
        })
    }

    /// Sends the piece that [`DeviceTransfer::next_piece`] named.
    ///
    /// # Errors
    /// [`SessionError::Driver`] where it is another one.
    pub fn piece(&mut self, wish: PieceWish, bytes: Vec<u8>) -> Result<(), SessionError> {
        if self.next_piece() != Some(wish) || bytes.len() != wish.length {
            return Err(SessionError::Driver("a piece"));
        }
        if let Some(brought) = self.brought.get_mut(&wish.number) {
            brought.next = Some(wish.offset + bytes.len() as u64);
        }
        self.send(&TransferFrame::Piece { number: wish.number, offset: wish.offset, bytes });
        Ok(())
    }

    /// Takes in bytes of the stream.
    ///
    /// # Errors
    /// [`SessionError`]: the stream is of no more use.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.traffic.bytes_in += bytes.len() as u64;
        self.reader.push(bytes);
        while let Some(payload) = self.reader.next_payload()? {
            self.traffic.frames_in += 1;
            let number = self.reader.frames();
            let frame = TransferFrame::decode(&payload).map_err(|cause| FrameError::Codec { number, cause })?;
            self.take(frame)?;
        }
        Ok(())
    }

    /// The stream ended.
    ///
    /// # Errors
    /// [`SessionError::CutOff`] where something was under way.
    pub fn ended(&self) -> Result<(), SessionError> {
        self.reader.end()?;
        if self.is_idle() { Ok(()) } else { Err(SessionError::CutOff) }
    }

    fn take(&mut self, frame: TransferFrame) -> Result<(), SessionError> {
        let out_of_place = |expected| SessionError::OutOfPlace { expected, came: frame.name() };
        match &frame {
            TransferFrame::GoOn { number, offset } => {
                let brought = self.brought.get_mut(number).ok_or_else(|| out_of_place("something about what was brought"))?;
                let again = brought.next.is_some();
                if *offset > brought.length || (again && (brought.again || *offset != 0)) {
                    return Err(out_of_place("a byte that is to be sent"));
                }
                brought.again = again;
                brought.next = Some(*offset);
            }
            TransferFrame::Kept { number } => {
                let brought = self.brought.remove(number).ok_or_else(|| out_of_place("something about what was brought"))?;
                self.effects.push_back(DeviceTransferEffect::Kept { hash: brought.hash });
            }
            TransferFrame::Declined { number, decline } => {
                let brought = self.brought.remove(number).ok_or_else(|| out_of_place("something about what was brought"))?;
                self.effects.push_back(DeviceTransferEffect::Declined { hash: brought.hash, decline: *decline });
            }
            TransferFrame::Coming { number, length } => {
                let fetched = self.fetched.get_mut(number).ok_or_else(|| out_of_place("something about what was fetched"))?;
                if fetched.length.is_some() || *length < fetched.next {
                    return Err(out_of_place("the length of what was fetched"));
                }
                fetched.length = Some(*length);
                let hash = fetched.hash;
                self.effects.push_back(DeviceTransferEffect::Coming { hash, length: *length });
                self.came(*number);
            }
            TransferFrame::Absent { number } => {
                let fetched = self.fetched.remove(number).ok_or_else(|| out_of_place("something about what was fetched"))?;
                self.effects.push_back(DeviceTransferEffect::Absent { hash: fetched.hash });
            }
            TransferFrame::Piece { number, offset, bytes } => {
                let fetched = self.fetched.get_mut(number).ok_or_else(|| out_of_place("something about what was fetched"))?;
                let length = fetched.length.ok_or_else(|| out_of_place("the length before the first piece"))?;
                let many = bytes.len() as u64;
                if *offset != fetched.next || many == 0 || many > (length - fetched.next).min(fetched.left) {
                    return Err(out_of_place("the next piece"));
                }
                fetched.next += many;
                fetched.left -= many;
                let hash = fetched.hash;
                self.effects.push_back(DeviceTransferEffect::Store { hash, offset: *offset, bytes: bytes.clone() });
                self.came(*number);
            }
            TransferFrame::Refused(refusal) => return Err(SessionError::Refused(*refusal)),
            TransferFrame::Other { .. } => {}
            TransferFrame::Carry { .. } | TransferFrame::Bring { .. } | TransferFrame::Fetch { .. } => {
                return Err(out_of_place("a frame of a server"));
            }
        }
        Ok(())
    }

    /// Ends a fetch of which everything is here.
    fn came(&mut self, number: u64) {
        let Some(fetched) = self.fetched.get(&number) else { return };
        let whole = fetched.length == Some(fetched.next);
        if whole || fetched.left == 0 {
            let hash = fetched.hash;
            self.fetched.remove(&number);
            self.effects.push_back(DeviceTransferEffect::Came { hash, whole });
        }
    }

    fn send(&mut self, frame: &TransferFrame) {
        let bytes = write_frame(&frame.encode());
        self.traffic.bytes_out += bytes.len() as u64;
        self.traffic.frames_out += 1;
        self.effects.push_back(DeviceTransferEffect::Send(bytes));
    }
}
