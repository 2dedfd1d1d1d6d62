//! The invitation: a text (often as a QR code) with which one device joins an organisation. It pins the root key, so that no public
//! name or certificate authority is needed. [`Invitation::to_text`], [`Invitation::from_text`], [`Invitation::check`].

use crate::codec::{self, Extra, Reader, Wire, Writer};
use crate::error::{CodecError, InvitationError, MembershipError};
use crate::ids::{CaseloadId, Hash, OrganisationId};
use crate::keys::PublicKey;
use crate::limits::{MAX_ADDRESS_BYTES, MAX_ADDRESSES, MAX_CASELOADS, MAX_INVITATION_BYTES, MAX_NAME_BYTES};
use crate::membership::{Act, Role, SignedEntry};
use crate::text;
use std::fmt;

const VERSION: u64 = 1;
const PREFIX: &str = "karwan1:";

/// What a device needs to join.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What the organisation is called.
    pub organisation_name: String,
    /// The organisation's root key.
    pub root: PublicKey,
    /// The entry with which the root certified the server's key.
    pub server: SignedEntry,
    /// Where the server listens, `host:port`, best first.
    pub addresses: Vec<String>,
    /// Shown once to the server.
    pub secret: [u8; 16],
    /// The role that the device gets.
    pub role: Role,
    /// The caseloads that the device gets.
    pub caseloads: Vec<CaseloadId>,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: i64,
    /// What a newer version added.
    pub extra: Extra,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation to {} until {} ms", self.organisation(), self.expires_at_ms)
    }
}

/// What the log and the server keep of an invitation's secret.
pub fn secret_hash(secret: &[u8; 16]) -> Hash {
    Hash(blake3::derive_key("karwan 2026 invitation", secret))
}

impl Wire for Invitation {
    fn write(&self, writer: &mut Writer) {
        writer.array(9 + self.extra.count()).uint(VERSION).text(&self.organisation_name).value(&self.root).value(&self.server);
        writer.array(self.addresses.len());
        for address in &self.addresses {
            writer.text(address);
        }
        writer.bytes(&self.secret).value(&self.role).list(&self.caseloads).int(self.expires_at_ms).extra(&self.extra);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let more = reader.record(9)?;
        let came = reader.uint()?;
        if came != VERSION {
            return Err(CodecError::Unknown { what: reader.what(), expected: "versions", came });
        }
        let organisation_name = reader.text(MAX_NAME_BYTES)?;
        let root = reader.value()?;
        let server = reader.value()?;
        let count = reader.array(1, MAX_ADDRESSES)?;
        let addresses = (0..count).map(|_| reader.text(MAX_ADDRESS_BYTES)).collect::<Result<_, _>>()?;
        Ok(Self {
            organisation_name,
            root,
            server,
            addresses,
            secret: reader.fixed()?,
            role: reader.value()?,
            caseloads: reader.list(MAX_CASELOADS)?,
            expires_at_ms: reader.int()?,
            extra: reader.extra(more)?,
        })
    }
}

impl Invitation {
    /// The organisation that invites.
    pub fn organisation(&self) -> OrganisationId {
        self.root.organisation()
    }

    /// The invitation as a text: `karwan1:` and base32 without padding, a check at its end.
    pub fn to_text(&self) -> String {
        text::write(PREFIX, &codec::encode(self))
    }

    /// Reads [`Invitation::to_text`]: case does not matter, white space and hyphens are passed over.
    ///
    /// # Errors
    /// [`InvitationError`] says what is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, InvitationError> {
        Ok(codec::decode(&text::read(PREFIX, text, MAX_INVITATION_BYTES)?, "invitation")?)
    }

    /// The server's key, once it is sure that this invitation's root certified it and that its time is not over.
    ///
    /// # Errors
    /// [`InvitationError::Certificate`], [`InvitationError::Expired`].
    pub fn check(&self, now_ms: i64) -> Result<PublicKey, InvitationError> {
        let key = self.server_key()?;
        if now_ms > self.expires_at_ms {
            return Err(InvitationError::Expired { expired_at_ms: self.expires_at_ms, now_ms });
        }
        Ok(key)
    }

    /// The server's key, once it is sure that this invitation's root certified it. A device whose clock is wrong asks this, and lets
    /// the server judge the time.
    ///
    /// # Errors
    /// [`InvitationError::Certificate`].
    pub fn server_key(&self) -> Result<PublicKey, InvitationError> {
        let entry = self.server.open().map_err(InvitationError::Certificate)?;
        if entry.organisation != self.organisation() || entry.signer != self.root {
            return Err(InvitationError::Certificate(MembershipError::WrongOrganisation));
        }
        match entry.act {
            Act::ServerKey { key } => Ok(key),
            act => Err(InvitationError::Certificate(MembershipError::NotAllowed { what: act.name() })),
        }
    }
}
