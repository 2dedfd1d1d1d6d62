//! An organisation with what is projected from its logs: what requests are carried out on.

use std::path::Path;
use std::sync::Arc;

use karwan_proto::PersonId;

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

    /// Lets somebody decide: the administrator where nobody is named. What was confirmed before is projected when `work` begins, and what
    /// it decided when this returns; from reading to writing nobody else decides, or two decisions on one state would have one sequence
    /// number.
    pub(crate) fn decide<T>(
        &self,
        person: Option<&str>,
        work: impl FnOnce(PersonId) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let organisation = &self.organisation;
        let person = match person {
            Some(name) => organisation.person_named(name)?,
            None => organisation.administrator()?,
        };
        let taken = organisation.deciding()?;
        self.projector.catch_up(organisation)?;
        let answer = work(person)?;
        drop(taken);
        self.projector.catch_up(organisation)?;
        Ok(answer)
    }

    /// Where devices find the server, as it last listened.
    pub fn addresses(&self) -> Result<Vec<String>, Problem> {
        let kept = self.organisation.setting("addresses")?.unwrap_or_default();
        Ok(String::from_utf8(kept).unwrap_or_default().lines().map(str::to_owned).collect())
    }
}
