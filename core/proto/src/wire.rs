//! Frames on a stream of bytes: a head that is checked by itself (so that a damaged length never makes a reader wait), then a payload
//! that is checked too. [`write_frame`] makes one, [`FrameReader`] takes a stream apart.
//!
//! `length (4, big-endian) ‖ check of the length (4) ‖ check of the payload (8) ‖ payload`

use crate::error::FrameError;
use crate::limits::MAX_FRAME_BYTES;

/// Bytes before the payload.
pub const HEAD_BYTES: usize = 16;

const LENGTH_CONTEXT: &[u8] = b"karwan frame length";

fn check_of_length(length: [u8; 4]) -> [u8; 4] {
    let mut check = [0; 4];
    blake3::Hasher::new().update(LENGTH_CONTEXT).update(&length).finalize_xof().fill(&mut check);
    check
}

fn check_of_payload(payload: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    blake3::Hasher::new().update(payload).finalize_xof().fill(&mut check);
    check
}

/// A payload with its head.
pub fn write_frame(payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= MAX_FRAME_BYTES, "a frame is never made longer than its limit");
    let length = (payload.len() as u32).to_be_bytes();
    [&length[..], &check_of_length(length), &check_of_payload(payload), payload].concat()
}

/// Takes the frames out of one direction of a stream. After an error it gives nothing more.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    taken: usize,
    frames: u64,
    failed: Option<FrameError>,
}

impl FrameReader {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The number of the last frame given, counted from 1.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes held that are no whole frame yet.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// The payload of the next frame, when it has come whole.
    ///
    /// # Errors
    /// [`FrameError`], the same again each time after the first.
    pub fn next_payload(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.take();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = Vec::new();
            self.taken = 0;
        }
        result
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let number = self.frames + 1;
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((head, rest)) = waiting.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [l0, l1, l2, l3, c0, c1, c2, c3, check @ ..] = *head;
        let length = [l0, l1, l2, l3];
        if check_of_length(length) != [c0, c1, c2, c3] {
            return Err(FrameError::Head { number });
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLong { number, limit: MAX_FRAME_BYTES, came: length as u64 });
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        if check_of_payload(payload) != check {
            return Err(FrameError::Payload { number });
        }
        let payload = payload.to_vec();
        self.taken += HEAD_BYTES + length;
        self.frames = number;
        Ok(Some(payload))
    }

    /// Says that the stream ended.
    ///
    /// # Errors
    /// [`FrameError::CutOff`] when that was within a frame.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.pending_bytes() {
            0 => Ok(()),
            came => Err(FrameError::CutOff { number: self.frames + 1, came }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_flipped_byte_is_refused_at_once_or_at_the_end() {
        let stream = [write_frame(b"first"), write_frame(b"second")].concat();
        for position in 0..stream.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut broken = stream.clone();
                broken[position] ^= flip;
                let mut reader = FrameReader::new();
                reader.push(&broken);
                let mut refused = false;
                while let Some(result) = reader.next_payload().transpose() {
                    if result.is_err() {
                        refused = true;
                        break;
                    }
                }
                assert!(refused, "byte {position} flipped by {flip:#x} passed");
                assert!(reader.next_payload().is_err());
            }
        }
    }

    #[test]
    fn frames_come_out_whole_however_their_bytes_arrive() {
        let stream = [write_frame(b"first"), write_frame(b""), write_frame(&[7; 3000])].concat();
        for step in [1, 7, 1000, 10_000] {
            let mut reader = FrameReader::new();
            let mut payloads = Vec::new();
            for bytes in stream.chunks(step) {
                reader.push(bytes);
                while let Some(payload) = reader.next_payload().unwrap() {
                    payloads.push(payload);
                }
            }
            assert_eq!(payloads, [b"first".to_vec(), Vec::new(), vec![7; 3000]]);
            assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_is_cut_off() {
        let mut reader = FrameReader::new();
        reader.push(&write_frame(b"first")[..18]);
        assert_eq!(reader.next_payload(), Ok(None));
        assert_eq!(reader.end(), Err(FrameError::CutOff { number: 1, came: 18 }));
    }
}
