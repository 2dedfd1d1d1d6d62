//! CBOR (RFC 8949) as this crate writes and reads it: definite lengths, shortest heads, arrays whose unknown trailing elements are
//! kept and written back. Everything that crosses the wire implements [`Wire`]; [`encode`] and [`decode`] are the way in.

use crate::error::CodecError;
use crate::limits::{MAX_EXTRA_BYTES, MAX_EXTRA_DEPTH, MAX_EXTRA_ITEMS};
use minicbor::data::Type;

/// A value with one encoding: `decode(encode(value)) == value`, and bytes that decode encode to themselves.
pub trait Wire: Sized {
    /// Writes the value.
    fn write(&self, writer: &mut Writer);
    /// Reads a value.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are no such value within the limits.
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError>;
}

/// The bytes of a value.
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut writer = Writer::new();
    value.write(&mut writer);
    writer.finish()
}

/// The value of all these bytes; `what` names it in the error.
pub fn decode<T: Wire>(bytes: &[u8], what: &'static str) -> Result<T, CodecError> {
    let mut reader = Reader::new(bytes, what);
    let value = T::read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Elements at the end of an array that this version does not know: carried, never dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extra {
    count: usize,
    bytes: Vec<u8>,
}

impl Extra {
    /// How many elements there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their encoded bytes, one after another.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes CBOR items into a buffer.
pub struct Writer(minicbor::Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self(minicbor::Encoder::new(Vec::new()))
    }

    /// Opens an array of exactly `count` items.
    pub fn array(&mut self, count: usize) -> &mut Self {
        never_fails(self.0.array(count as u64).map(|_| ()));
        self
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        never_fails(self.0.u64(value).map(|_| ()));
        self
    }

    /// A signed integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        never_fails(self.0.i64(value).map(|_| ()));
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        never_fails(self.0.bytes(value).map(|_| ()));
        self
    }

    /// A text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        never_fails(self.0.str(value).map(|_| ()));
        self
    }

    /// True or false.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        never_fails(self.0.bool(value).map(|_| ()));
        self
    }

    /// Null.
    pub fn null(&mut self) -> &mut Self {
        never_fails(self.0.null().map(|_| ()));
        self
    }

    /// A byte string, or null.
    pub fn optional_bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(bytes) => self.bytes(bytes),
            None => self.null(),
        }
    }

    /// A value of its own.
    pub fn value<T: Wire>(&mut self, value: &T) -> &mut Self {
        value.write(self);
        self
    }

    /// An array of values.
    pub fn list<T: Wire>(&mut self, values: &[T]) -> &mut Self {
        self.array(values.len());
        for value in values {
            value.write(self);
        }
        self
    }

    /// Elements kept from a newer version.
    pub fn extra(&mut self, extra: &Extra) -> &mut Self {
        self.0.writer_mut().extend_from_slice(&extra.bytes);
        self
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

fn never_fails<E>(result: Result<(), E>) {
    debug_assert!(result.is_ok(), "writing into memory does not fail");
}

/// Reads CBOR items, strictly: what another encoder could have written shorter is refused.
pub struct Reader<'a> {
    decoder: minicbor::Decoder<'a>,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads from these bytes; `what` names them in errors.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { decoder: minicbor::Decoder::new(bytes), what }
    }

    /// What is being read.
    pub fn what(&self) -> &'static str {
        self.what
    }

    fn expected(&self, expected: &'static str) -> CodecError {
        CodecError::Expected { what: self.what, expected, at: self.decoder.position() }
    }

    fn shortest(&self, start: usize, payload: usize, value: u64) -> Result<(), CodecError> {
        let head = self.decoder.position().saturating_sub(start).saturating_sub(payload);
        if head == head_length(value) { Ok(()) } else { Err(CodecError::NotShortest { what: self.what, at: start }) }
    }

    /// Opens an array that holds from `least` to `most` items and says how many.
    pub fn array(&mut self, least: usize, most: usize) -> Result<usize, CodecError> {
        let start = self.decoder.position();
        let Ok(Some(count)) = self.decoder.array() else { return Err(self.expected("an array of definite length")) };
        self.shortest(start, 0, count)?;
        if count < least as u64 {
            return Err(CodecError::TooShort { what: self.what, least, came: count });
        }
        if count > most as u64 {
            return Err(CodecError::TooLong { what: self.what, limit: most, came: count });
        }
        Ok(count as usize)
    }

    /// Opens an array of `known` items that a newer version may have made longer; give the result to [`Reader::extra`].
    pub fn record(&mut self, known: usize) -> Result<usize, CodecError> {
        Ok(self.array(known, known + MAX_EXTRA_ITEMS)? - known)
    }

    /// Opens an array that begins with its kind. `known` tells how many elements this version reads after a kind; gives the kind, and how many come
    /// after those, for [`Reader::extra`].
    pub fn kind(&mut self, known: impl FnOnce(u64) -> usize) -> Result<(u64, usize), CodecError> {
        let after_kind = self.record(1)?;
        let kind = self.uint()?;
        let known = known(kind);
        let (least, came) = (known + 1, after_kind as u64 + 1);
        let more = after_kind.checked_sub(known).ok_or(CodecError::TooShort { what: self.what, least, came })?;
        Ok((kind, more))
    }

    /// The number of the protocol that a frame speaks, which must be this one.
    pub fn protocol(&mut self, spoken: u64, frame: &'static str) -> Result<(), CodecError> {
        match self.uint()? {
            came if came == spoken => Ok(()),
            came => Err(CodecError::Unknown { what: frame, expected: "protocols", came }),
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, CodecError> {
        let start = self.decoder.position();
        let value = self.decoder.u64().map_err(|_| self.expected("an unsigned integer"))?;
        self.shortest(start, 0, value)?;
        Ok(value)
    }

    /// An unsigned integer up to `most`.
    pub fn uint_up_to(&mut self, most: u64) -> Result<u64, CodecError> {
        match self.uint()? {
            value if value <= most => Ok(value),
            came => Err(CodecError::TooLong { what: self.what, limit: most as usize, came }),
        }
    }

    /// A signed integer.
    pub fn int(&mut self) -> Result<i64, CodecError> {
        let start = self.decoder.position();
        let value = self.decoder.i64().map_err(|_| self.expected("an integer"))?;
        self.shortest(start, 0, if value < 0 { !value as u64 } else { value as u64 })?;
        Ok(value)
    }

    /// A byte string of at most `limit` bytes.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], CodecError> {
        let start = self.decoder.position();
        let value = self.decoder.bytes().map_err(|_| self.expected("a byte string"))?;
        self.shortest(start, value.len(), value.len() as u64)?;
        self.within(value.len(), limit)?;
        Ok(value)
    }

    /// A byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let value = self.bytes(N)?;
        value.try_into().map_err(|_| CodecError::TooShort { what: self.what, least: N, came: value.len() as u64 })
    }

    /// A text of at most `limit` bytes.
    pub fn text(&mut self, limit: usize) -> Result<String, CodecError> {
        let start = self.decoder.position();
        let value = self.decoder.str().map_err(|_| self.expected("a text"))?;
        self.shortest(start, value.len(), value.len() as u64)?;
        self.within(value.len(), limit)?;
        Ok(value.to_owned())
    }

    /// True or false.
    pub fn boolean(&mut self) -> Result<bool, CodecError> {
        self.decoder.bool().map_err(|_| self.expected("true or false"))
    }

    /// Whether the next item is null, which is then read.
    pub fn is_null(&mut self) -> Result<bool, CodecError> {
        if matches!(self.decoder.datatype(), Ok(Type::Null)) {
            self.decoder.null().map_err(|_| self.expected("null"))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// A value, or nothing where null stands.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, CodecError>) -> Result<Option<T>, CodecError> {
        if self.is_null()? { Ok(None) } else { read(self).map(Some) }
    }

    /// A value of its own.
    pub fn value<T: Wire>(&mut self) -> Result<T, CodecError> {
        T::read(self)
    }

    /// An array of at most `limit` values.
    pub fn list<T: Wire>(&mut self, limit: usize) -> Result<Vec<T>, CodecError> {
        let count = self.array(0, limit)?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(T::read(self)?);
        }
        Ok(values)
    }

    /// The last `count` elements of an array, which this version does not know.
    pub fn extra(&mut self, count: usize) -> Result<Extra, CodecError> {
        let start = self.decoder.position();
        for _ in 0..count {
            self.skip(MAX_EXTRA_DEPTH)?;
        }
        let end = self.decoder.position();
        self.within(end - start, MAX_EXTRA_BYTES)?;
        let bytes = self.decoder.input().get(start..end).unwrap_or_default().to_vec();
        Ok(Extra { count, bytes })
    }

    fn skip(&mut self, depth: usize) -> Result<(), CodecError> {
        if depth == 0 {
            return Err(CodecError::TooDeep { what: self.what, limit: MAX_EXTRA_DEPTH });
        }
        match self.decoder.datatype().map_err(|_| self.expected("an item"))? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(|_| ()),
            Type::Bytes => self.bytes(MAX_EXTRA_BYTES).map(|_| ()),
            Type::String => self.text(MAX_EXTRA_BYTES).map(|_| ()),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => self.int().map(|_| ()),
            Type::Array => {
                let count = self.array(0, MAX_EXTRA_BYTES)?;
                (0..count).try_for_each(|_| self.skip(depth - 1))
            }
            Type::Null => self.decoder.null().map_err(|_| self.expected("null")),
            Type::Bool => self.boolean().map(|_| ()),
            _ => Err(self.expected("an integer, byte string, text, array, null, true or false")),
        }
    }

    fn within(&self, came: usize, limit: usize) -> Result<(), CodecError> {
        if came <= limit { Ok(()) } else { Err(CodecError::TooLong { what: self.what, limit, came: came as u64 }) }
    }

    /// Says that nothing may follow.
    pub fn end(&self) -> Result<(), CodecError> {
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        if left == 0 { Ok(()) } else { Err(CodecError::Trailing { what: self.what, bytes: left }) }
    }
}

fn head_length(value: u64) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

macro_rules! fixed_bytes {
    ($($type:path),* $(,)?) => {$(
        impl Wire for $type {
            fn write(&self, writer: &mut Writer) {
                writer.bytes(&self.0);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
                reader.fixed().map(Self)
            }
        }
    )*};
}

fixed_bytes!(
    crate::ids::RecordId,
    crate::ids::DeviceId,
    crate::ids::PersonId,
    crate::ids::CaseloadId,
    crate::ids::IncarnationId,
    crate::ids::OrganisationId,
    crate::ids::Hash,
    crate::keys::PublicKey,
    crate::keys::Signature,
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_longer_head_than_needed_is_refused() {
        assert_eq!(Reader::new(&[0x17], "test").uint(), Ok(23));
        assert_eq!(Reader::new(&[0x18, 0x17], "test").uint(), Err(CodecError::NotShortest { what: "test", at: 0 }));
        assert_eq!(Reader::new(&[0x58, 0x01, 0xff], "test").bytes(9), Err(CodecError::NotShortest { what: "test", at: 0 }));
        assert_eq!(Reader::new(&[0x38, 0x00], "test").int(), Err(CodecError::NotShortest { what: "test", at: 0 }));
        assert_eq!(Reader::new(&[0x20], "test").int(), Ok(-1));
        assert!(Reader::new(&[0x9f, 0xff], "test").array(0, 9).is_err());
    }

    #[test]
    fn unknown_elements_are_kept_and_written_back() {
        let bytes = [0x83, 0x01, 0x82, 0x41, 0xaa, 0x61, b'x', 0xf6];
        let mut reader = Reader::new(&bytes, "test");
        let more = reader.record(1).unwrap();
        assert_eq!(reader.uint(), Ok(1));
        let extra = reader.extra(more).unwrap();
        reader.end().unwrap();
        let mut writer = Writer::new();
        writer.array(1 + extra.count()).uint(1).extra(&extra);
        assert_eq!(writer.finish(), bytes);
    }

    #[test]
    fn nesting_and_lengths_have_limits() {
        let deep = vec![0x81; 64];
        let mut reader = Reader::new(&deep, "test");
        assert_eq!(reader.extra(1), Err(CodecError::TooDeep { what: "test", limit: MAX_EXTRA_DEPTH }));
        assert_eq!(Reader::new(&[0x42, 1, 2], "test").bytes(1), Err(CodecError::TooLong { what: "test", limit: 1, came: 2 }));
        assert!(Reader::new(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "test").bytes(9).is_err());
    }
}
