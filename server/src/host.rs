//! An organisation with what is projected from its logs: what requests are carried out on.

use std::path::Path;
use std::sync::Arc;

use crate::organisation::Organisation;
use crate::problem::Problem;
use crate::projector::Projector;

/// What requests are carried out on.
#[derive(Clone)]
pub struct Host {
    /// The organisation.
    pub organisation: Arc<Organisation>,
    /// What is read out of its logs.
    pub projector: Arc<Projector>,
}

impl Host {
    /// Opens a folder, waiting for its lock.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        Self::of(Organisation::open(folder)?)
    }

    /// Puts a projector beside an organisation.
    pub fn of(organisation: Arc<Organisation>) -> Result<Self, Problem> {
        let projector = Arc::new(Projector::open(&organisation)?);
        Ok(Self { organisation, projector })
    }

    /// Where devices find the server, as it last listened.
    pub fn addresses(&self) -> Result<Vec<String>, Problem> {
        let kept = self.organisation.setting("addresses")?.unwrap_or_default();
        Ok(String::from_utf8(kept).unwrap_or_default().lines().map(str::to_owned).collect())
    }
}
