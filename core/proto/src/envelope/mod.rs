//! The envelope: changes of one caseload, signed together by one device. [`seal`] makes one, [`SignedHeader::peek`] looks at who
//! signed before anything is unpacked, [`Envelope::decode`] unpacks it and checks the body against the header, [`Envelope::verify`]
//! checks the signature, [`Envelope::prune`] takes changes out without breaking it.

mod body;
mod columns;
mod identifiers;
mod split;
pub mod tree;
mod values;

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::{CodecError, EnvelopeError};
use crate::ids::{CaseloadId, DeviceId, Hash, IncarnationId, PersonId, RecordId};
use crate::keys::{Namespace, PublicKey, Signature, SigningKey};
use crate::limits::{
    ENVELOPE_TARGET_BYTES, ENVELOPE_TARGET_RAW_BYTES, MAX_BODY_RAW_BYTES, MAX_CHANGE_BYTES, MAX_CHANGES_PER_ENVELOPE,
    MAX_ENVELOPE_BYTES, MAX_HEADER_BYTES,
};
pub use body::Effort;
use columns::Known;

/// Format of the header that this version writes.
pub const FORMAT: u64 = 1;
/// Algorithms that this version uses: ed25519, BLAKE3.
pub const ALGORITHMS: u64 = 1;

/// What a device signs of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeHeader {
    /// The caseload of all changes in it.
    pub caseload: CaseloadId,
    /// The device that signs.
    pub device: DeviceId,
    /// The life of the device's database that the envelope belongs to.
    pub incarnation: IncarnationId,
    /// Counts the envelopes of this incarnation in this caseload, from 1.
    pub counter: u64,
    /// The envelope before it, of the same device, incarnation and caseload.
    pub previous: Option<Hash>,
    /// The person who made the changes, as the device claims.
    pub person: PersonId,
    /// How much of the membership log the device had seen: information, never a right.
    pub membership_position: u64,
    /// The device's clock when it sealed, in milliseconds since 1970.
    pub clock_ms: i64,
    /// The device's offset from UTC.
    pub offset_minutes: i32,
    /// Changes in it, pruned ones counted. [`seal`] sets it.
    pub change_count: usize,
    /// Root of the tree over the salted leaves. [`seal`] sets it.
    pub root: Hash,
    /// What a newer version added.
    pub extra: Extra,
}

impl Wire for EnvelopeHeader {
    fn write(&self, writer: &mut Writer) {
        writer.array(13 + self.extra.count());
        writer.uint(FORMAT).uint(ALGORITHMS);
        writer.value(&self.caseload).value(&self.device).value(&self.incarnation).uint(self.counter);
        writer.optional_bytes(self.previous.as_ref().map(|hash| &hash.0[..]));
        writer.value(&self.person).uint(self.membership_position).int(self.clock_ms).int(i64::from(self.offset_minutes));
        writer.uint(self.change_count as u64).value(&self.root).extra(&self.extra);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let more = reader.record(13)?;
        for expected in [FORMAT, ALGORITHMS] {
            let came = reader.uint()?;
            if came != expected {
                return Err(CodecError::Unknown { what: reader.what(), expected: "formats and algorithms", came });
            }
        }
        Ok(Self {
            caseload: reader.value()?,
            device: reader.value()?,
            incarnation: reader.value()?,
            counter: reader.uint()?,
            previous: reader.optional(Reader::value)?,
            person: reader.value()?,
            membership_position: reader.uint()?,
            clock_ms: reader.int()?,
            offset_minutes: read_offset(reader)?,
            change_count: reader.uint_up_to(MAX_CHANGES_PER_ENVELOPE as u64)? as usize,
            root: reader.value()?,
            extra: reader.extra(more)?,
        })
    }
}

fn read_offset(reader: &mut Reader<'_>) -> Result<i32, CodecError> {
    let offset = reader.int()?;
    match i32::try_from(offset) {
        Ok(minutes) if (-1440..=1440).contains(&minutes) => Ok(minutes),
        _ => Err(CodecError::TooLong { what: reader.what(), limit: 1440, came: offset.unsigned_abs() }),
    }
}

/// A header as its device signed it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    header: EnvelopeHeader,
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedHeader {
    /// Takes a header apart. The signature is not checked: that is [`SignedHeader::verify`].
    ///
    /// # Errors
    /// [`EnvelopeError::Codec`] when the bytes are no header of this version.
    pub fn new(bytes: Vec<u8>, signature: Signature) -> Result<Self, EnvelopeError> {
        let header: EnvelopeHeader = codec::decode(&bytes, "envelope header")?;
        if header.change_count == 0 {
            return Err(EnvelopeError::Empty);
        }
        Ok(Self { header, bytes, signature })
    }

    /// The header of an encoded envelope, without unpacking its body: what to look at before its signature is known to hold.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the bytes are no envelope of this version.
    pub fn peek(envelope: &[u8]) -> Result<Self, EnvelopeError> {
        let mut reader = envelope_reader(envelope)?;
        let signed = read_signed(&mut reader)?;
        read_body(&mut reader)?;
        Ok(signed)
    }

    /// What the header says.
    pub fn header(&self) -> &EnvelopeHeader {
        &self.header
    }

    /// The bytes that are signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signature over them.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The envelope's name: BLAKE3 of the header's bytes and the signature.
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.bytes).update(&self.signature.0);
        Hash(*hasher.finalize().as_bytes())
    }

    /// Checks that the device named signed it, and that this key is that device's.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongDevice`] when the key is another device's, [`EnvelopeError::Key`] when the signature does not hold.
    pub fn verify(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        if key.device() != self.header.device {
            return Err(EnvelopeError::WrongDevice);
        }
        Ok(key.verify(Namespace::Envelope, &self.bytes, &self.signature)?)
    }
}

/// One place in an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A change of a record.
    Change {
        /// The record.
        record: RecordId,
        /// The record's generation: grows when a part of it is erased.
        generation: u32,
        /// The change, as its CRDT writes it uncompressed.
        change: Vec<u8>,
    },
    /// A change that was taken out: only its leaf is left, which says nothing of it.
    Pruned {
        /// The leaf.
        leaf: Hash,
    },
}

impl Item {
    /// The record, where the change is still there.
    pub fn record(&self) -> Option<RecordId> {
        match self {
            Self::Change { record, .. } => Some(*record),
            Self::Pruned { .. } => None,
        }
    }

    fn pruned_leaf(&self) -> Option<Hash> {
        match self {
            Self::Change { .. } => None,
            Self::Pruned { leaf } => Some(*leaf),
        }
    }

    fn raw_bytes(&self) -> usize {
        match self {
            Self::Change { change, .. } => change.len(),
            Self::Pruned { .. } => 0,
        }
    }
}

/// What makes the leaves of the changes unguessable.
#[derive(Clone, PartialEq, Eq)]
pub enum Salts {
    /// Nothing is pruned: all salts expand from this secret.
    Secret([u8; 16]),
    /// Something is pruned: the salts of what is left, none where the change was taken out.
    Remaining(Vec<Option<[u8; 16]>>),
}

impl std::fmt::Debug for Salts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Salts::Secret",
            Self::Remaining(_) => "Salts::Remaining",
        })
    }
}

impl Salts {
    /// The salt of the change at this place.
    pub fn salt(&self, position: usize) -> Option<[u8; 16]> {
        match self {
            Self::Secret(secret) => Some(tree::salt(secret, position)),
            Self::Remaining(salts) => salts.get(position).copied().flatten(),
        }
    }
}

/// Changes of one caseload under one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signed: SignedHeader,
    items: Vec<Item>,
    salts: Salts,
}

/// Seals changes: computes the tree, fills in the header's `change_count` and `root`, and signs.
///
/// `secret` must be 16 fresh random bytes: who knows it can guess what a pruned change was.
///
/// # Errors
/// [`EnvelopeError::WrongDevice`] when the header names another device than the key's; [`EnvelopeError::Empty`],
/// [`EnvelopeError::TooLarge`] when the items do not make an envelope (see [`fitting`]).
pub fn seal(mut header: EnvelopeHeader, items: Vec<Item>, secret: [u8; 16], key: &SigningKey) -> Result<Envelope, EnvelopeError> {
    if key.public().device() != header.device {
        return Err(EnvelopeError::WrongDevice);
    }
    check_sizes(&items)?;
    let salts = Salts::Secret(secret);
    header.change_count = items.len();
    header.root = root(&items, &salts)?;
    let bytes = codec::encode(&header);
    if bytes.len() > MAX_HEADER_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the header in bytes", limit: MAX_HEADER_BYTES, came: bytes.len() });
    }
    let signature = key.sign(Namespace::Envelope, &bytes);
    Ok(Envelope { signed: SignedHeader { header, bytes, signature }, items, salts })
}

/// How many of the first items go well into one envelope: at most [`MAX_CHANGES_PER_ENVELOPE`], about
/// [`ENVELOPE_TARGET_BYTES`] on the wire, and always at least one.
///
/// # Errors
/// [`EnvelopeError::TooLarge`] when the first change alone is larger than [`MAX_CHANGE_BYTES`].
pub fn fitting(items: &[Item]) -> Result<usize, EnvelopeError> {
    let mut raw_bytes = 0;
    let mut count = 0;
    for item in items.iter().take(MAX_CHANGES_PER_ENVELOPE) {
        raw_bytes += item.raw_bytes();
        if count > 0 && raw_bytes > ENVELOPE_TARGET_RAW_BYTES {
            break;
        }
        count += 1;
    }
    while count > 1 && raw_bytes > ENVELOPE_TARGET_BYTES {
        let chosen = items.get(..count).unwrap_or_default();
        if body::encode(chosen, &Salts::Secret([0; 16]), &Known::NOTHING, Effort::Quick).len() <= ENVELOPE_TARGET_BYTES {
            break;
        }
        count = count.div_ceil(2);
        raw_bytes = items.iter().take(count).map(Item::raw_bytes).sum();
    }
    check_sizes(items.get(..count).unwrap_or_default())?;
    Ok(count)
}

fn check_sizes(items: &[Item]) -> Result<(), EnvelopeError> {
    if items.is_empty() {
        return Err(EnvelopeError::Empty);
    }
    let too_large = |what, limit, came| Err(EnvelopeError::TooLarge { what, limit, came });
    if items.len() > MAX_CHANGES_PER_ENVELOPE {
        return too_large("the number of changes", MAX_CHANGES_PER_ENVELOPE, items.len());
    }
    let mut whole = 0;
    for item in items {
        if item.raw_bytes() > MAX_CHANGE_BYTES {
            return too_large("a change in bytes", MAX_CHANGE_BYTES, item.raw_bytes());
        }
        whole += item.raw_bytes();
    }
    if whole > MAX_BODY_RAW_BYTES {
        return too_large("the changes in bytes", MAX_BODY_RAW_BYTES, whole);
    }
    Ok(())
}

fn root(items: &[Item], salts: &Salts) -> Result<Hash, EnvelopeError> {
    let mut leaves = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        leaves.push(match item {
            Item::Pruned { leaf } => *leaf,
            Item::Change { record, generation, change } => {
                let salt = salts.salt(position).ok_or(EnvelopeError::Body { expected: "a salt for every change" })?;
                tree::leaf(&salt, *record, *generation, change)
            }
        });
    }
    Ok(tree::root(&leaves))
}

fn envelope_reader(bytes: &[u8]) -> Result<Reader<'_>, EnvelopeError> {
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(EnvelopeError::TooLarge { what: "the envelope in bytes", limit: MAX_ENVELOPE_BYTES, came: bytes.len() });
    }
    let mut reader = Reader::new(bytes, "envelope");
    reader.array(4, 4)?;
    Ok(reader)
}

fn read_signed(reader: &mut Reader<'_>) -> Result<SignedHeader, EnvelopeError> {
    let bytes = reader.bytes(MAX_HEADER_BYTES)?.to_vec();
    SignedHeader::new(bytes, reader.value()?)
}

/// The packed body, once its check holds. A compressor's frame has bits that mean nothing, so without a check a damaged body could
/// unpack to the same changes and pass unnoticed.
fn read_body<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], EnvelopeError> {
    let packed = reader.bytes(MAX_ENVELOPE_BYTES)?;
    let check = reader.fixed()?;
    reader.end()?;
    if check == body_check(packed) { Ok(packed) } else { Err(EnvelopeError::Body { expected: "a body that its check fits" }) }
}

fn body_check(packed: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    blake3::Hasher::new().update(packed).finalize_xof().fill(&mut check);
    check
}

impl Envelope {
    /// Puts an envelope together from its parts, as a server does that keeps changes by record, and checks it against the header.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongBody`] or [`EnvelopeError::WrongCount`] when these are not the items that the header signs.
    pub fn assemble(signed: SignedHeader, items: Vec<Item>, salts: Salts) -> Result<Self, EnvelopeError> {
        check_sizes(&items)?;
        if items.len() != signed.header.change_count {
            return Err(EnvelopeError::WrongCount { expected: signed.header.change_count, came: items.len() });
        }
        if root(&items, &salts)? != signed.header.root {
            return Err(EnvelopeError::WrongBody);
        }
        Ok(Self { signed, items, salts })
    }

    /// Unpacks an envelope and checks its body against its header. The signature is not checked: call [`Envelope::verify`], or
    /// [`SignedHeader::peek`] and [`SignedHeader::verify`] before.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what the bytes lack.
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let mut reader = envelope_reader(bytes)?;
        let signed = read_signed(&mut reader)?;
        let packed = read_body(&mut reader)?;
        let (items, salts) = body::decode(packed, signed.header.change_count, &Known::of(&signed.header))?;
        Self::assemble(signed, items, salts)
    }

    /// The envelope as it crosses the wire, packed as tightly as a device can afford.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(Effort::Thorough)
    }

    /// The envelope as it crosses the wire, packed with this effort. All efforts decode alike.
    pub fn encode_with(&self, effort: Effort) -> Vec<u8> {
        let mut writer = Writer::new();
        let body = body::encode(&self.items, &self.salts, &Known::of(self.header()), effort);
        writer.array(4).bytes(&self.signed.bytes).value(&self.signed.signature);
        writer.bytes(&body).bytes(&body_check(&body));
        writer.finish()
    }

    /// What the compressor is given of the body, before it is compressed: dictionaries are trained on this.
    pub fn payload(&self) -> Vec<u8> {
        columns::write(&self.items, &Known::of(self.header())).bytes
    }

    /// The signed header.
    pub fn signed(&self) -> &SignedHeader {
        &self.signed
    }

    /// What the header says.
    pub fn header(&self) -> &EnvelopeHeader {
        &self.signed.header
    }

    /// The envelope's name.
    pub fn hash(&self) -> Hash {
        self.signed.hash()
    }

    /// The changes and what is left of pruned ones, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What makes the leaves unguessable: keep it with the changes, and nowhere else.
    pub fn salts(&self) -> &Salts {
        &self.salts
    }

    /// The leaf of the change at this place.
    ///
    /// # Errors
    /// [`EnvelopeError::NoSuchChange`].
    pub fn leaf(&self, position: usize) -> Result<Hash, EnvelopeError> {
        match (self.items.get(position), self.salts.salt(position)) {
            (Some(Item::Pruned { leaf }), _) => Ok(*leaf),
            (Some(Item::Change { record, generation, change }), Some(salt)) => {
                Ok(tree::leaf(&salt, *record, *generation, change))
            }
            _ => Err(EnvelopeError::NoSuchChange(position)),
        }
    }

    /// Checks the signature and that this key is the device's. The body was checked when the envelope was made or decoded.
    ///
    /// # Errors
    /// As [`SignedHeader::verify`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), EnvelopeError> {
        self.signed.verify(key)
    }

    /// Takes in what another copy of this envelope holds and this one has pruned; gives the places.
    ///
    /// # Errors
    /// [`EnvelopeError::WrongBody`] when the other is another envelope.
    pub fn merge(&mut self, other: &Self) -> Result<Vec<usize>, EnvelopeError> {
        if self.hash() != other.hash() {
            return Err(EnvelopeError::WrongBody);
        }
        let mut salts: Vec<Option<[u8; 16]>> = (0..self.items.len()).map(|position| self.salts.salt(position)).collect();
        let mut came = Vec::new();
        for (position, (own, theirs)) in self.items.iter_mut().zip(&other.items).enumerate() {
            if own.record().is_none() && theirs.record().is_some() {
                own.clone_from(theirs);
                if let Some(salt) = salts.get_mut(position) {
                    *salt = other.salts.salt(position);
                }
                came.push(position);
            }
        }
        if !came.is_empty() {
            self.salts = Salts::Remaining(salts);
        }
        Ok(came)
    }

    /// Where changes of a record stand that are of generations below this one; pruned ones say no more whose they were.
    pub fn positions_below(&self, of: RecordId, below: u32) -> Vec<usize> {
        let is_below =
            |item: &Item| matches!(item, Item::Change { record, generation, .. } if *record == of && *generation < below);
        self.items.iter().enumerate().filter(|(_, item)| is_below(item)).map(|(position, _)| position).collect()
    }

    /// Takes changes out: their leaves stay, so that the envelope still verifies; their salts go, so that nobody can guess them.
    ///
    /// # Errors
    /// [`EnvelopeError::NoSuchChange`].
    pub fn prune(&mut self, positions: &[usize]) -> Result<(), EnvelopeError> {
        for position in positions {
            let leaf = self.leaf(*position)?;
            if let Some(item) = self.items.get_mut(*position) {
                *item = Item::Pruned { leaf };
            }
        }
        let salts = self.items.iter().enumerate().map(|(position, item)| item.record().and_then(|_| self.salts.salt(position)));
        if self.items.iter().any(|item| item.record().is_none()) {
            self.salts = Salts::Remaining(salts.collect());
        }
        Ok(())
    }
}
