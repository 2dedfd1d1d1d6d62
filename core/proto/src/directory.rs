//! The directory: what people call the organisation, its people, devices and caseloads. Names never stand in a log; they travel as
//! rows of a versioned table, and a row can be blanked.

use crate::codec::{Extra, Reader, Wire, Writer};
use crate::error::CodecError;
use crate::limits::MAX_NAME_BYTES;

/// What a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// The organisation.
    Organisation,
    /// A person.
    Person,
    /// A device.
    Device,
    /// A caseload.
    Caseload,
    /// Something of a newer version.
    Other(u64),
}

impl Named {
    fn number(self) -> u64 {
        match self {
            Self::Organisation => 1,
            Self::Person => 2,
            Self::Device => 3,
            Self::Caseload => 4,
            Self::Other(number) => number,
        }
    }

    fn of_number(number: u64) -> Self {
        match number {
            1 => Self::Organisation,
            2 => Self::Person,
            3 => Self::Device,
            4 => Self::Caseload,
            other => Self::Other(other),
        }
    }
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRow {
    /// What is named.
    pub named: Named,
    /// Its identifier.
    pub id: [u8; 16],
    /// Its name; empty when it was erased.
    pub name: String,
    /// What a newer version added.
    pub extra: Extra,
}

impl DirectoryRow {
    /// A row of this version.
    pub fn new(named: Named, id: [u8; 16], name: impl Into<String>) -> Self {
        Self { named, id, name: name.into(), extra: Extra::default() }
    }
}

impl Wire for DirectoryRow {
    fn write(&self, writer: &mut Writer) {
        writer.array(3 + self.extra.count()).uint(self.named.number()).bytes(&self.id).text(&self.name).extra(&self.extra);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let more = reader.record(3)?;
        Ok(Self {
            named: Named::of_number(reader.uint()?),
            id: reader.fixed()?,
            name: reader.text(MAX_NAME_BYTES)?,
            extra: reader.extra(more)?,
        })
    }
}
