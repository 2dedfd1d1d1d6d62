//! Two devices that meet with no server near: the text (often as a QR code) with which one finds and believes the other.
//! [`Meeting::to_text`], [`Meeting::from_text`].

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::{CodecError, MeetingError};
use crate::ids::OrganisationId;
use crate::keys::PublicKey;
use crate::limits::{MAX_ADDRESS_BYTES, MAX_ADDRESSES, MAX_MEETING_BYTES};
use crate::text;
use std::fmt;

const VERSION: u64 = 1;
const PREFIX: &str = "karwan-meet1:";

/// Where a device listens, by which key it is known, and what the other one is to show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Its organisation.
    pub organisation: OrganisationId,
    /// Its key: whoever answers with another one is somebody else.
    pub key: PublicKey,
    /// Where it listens, `host:port`, best first.
    pub addresses: Vec<String>,
    /// Shown to it once, by who has seen the text.
    pub secret: [u8; 16],
    /// What a newer version added.
    pub extra: Extra,
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meeting with {}", self.key.device())
    }
}

impl Wire for Meeting {
    fn write(&self, writer: &mut Writer) {
        writer.array(5 + self.extra.count()).uint(VERSION).value(&self.organisation).value(&self.key);
        writer.array(self.addresses.len());
        for address in &self.addresses {
            writer.text(address);
        }
        writer.bytes(&self.secret).extra(&self.extra);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let more = reader.record(5)?;
        let came = reader.uint()?;
        if came != VERSION {
            return Err(CodecError::Unknown { what: reader.what(), expected: "versions", came });
        }
        let (organisation, key) = (reader.value()?, reader.value()?);
        let count = reader.array(1, MAX_ADDRESSES)?;
        let addresses = (0..count).map(|_| reader.text(MAX_ADDRESS_BYTES)).collect::<Result<_, _>>()?;
        Ok(Self { organisation, key, addresses, secret: reader.fixed()?, extra: reader.extra(more)? })
    }
}

impl Meeting {
    /// Whether a text is meant to be one of these.
    pub fn is_meant(text: &str) -> bool {
        text.trim().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// As a text: `karwan-meet1:` and base32 without padding, a check at its end.
    pub fn to_text(&self) -> String {
        text::write(PREFIX, &codec::encode(self))
    }

    /// Reads [`Meeting::to_text`]: case does not matter, white space and hyphens are passed over.
    ///
    /// # Errors
    /// [`MeetingError`] says what is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, MeetingError> {
        Ok(codec::decode(&text::read(PREFIX, text, MAX_MEETING_BYTES)?, "meeting")?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    fn meeting() -> Meeting {
        let key = SigningKey::from_seed(&[7; 32]).public();
        let addresses = vec!["192.168.43.1:40123".to_owned(), "[fe80::1]:40123".to_owned()];
        Meeting { organisation: key.organisation(), key, addresses, secret: [9; 16], extra: Extra::default() }
    }

    #[test]
    fn a_meeting_is_read_as_it_was_written_whatever_hands_made_of_it() {
        let text = meeting().to_text();
        assert!(Meeting::is_meant(&text));
        assert_eq!(Meeting::from_text(&text).unwrap(), meeting());
        let (head, tail) = text.split_at(40);
        assert_eq!(Meeting::from_text(&format!("  {} {tail}\n", head.to_lowercase())).unwrap(), meeting());
    }

    #[test]
    fn every_changed_character_and_every_cut_of_a_meeting_is_refused() {
        let text = meeting().to_text();
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'2' { b'3' } else { b'2' };
            assert!(Meeting::from_text(&String::from_utf8(other).unwrap()).is_err(), "changed at {place}");
            assert!(Meeting::from_text(text.get(..place).unwrap()).is_err(), "cut at {place}");
        }
        assert_eq!(Meeting::from_text("karwan1:AAAA"), Err(MeetingError::NotAMeeting));
    }
}
