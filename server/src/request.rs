//! What can be asked of an organisation: one enum, carried out in this process or handed to the server that runs on the folder.

use karwan_proto::Role;
use karwan_proto::membership::Subject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::decisions::{self, Decide};
use crate::host::Host;
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::review::{self, ReviewCommand};

/// Anything that a command or a page asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Reads.
    Query(Query),
    /// Decides.
    Review(ReviewCommand),
    /// Decides who has a record.
    Decide(Decide),
    /// Drops what is projected and reads the logs again.
    RebuildProjection,
    /// Since when the oldest entry that is in no table waits.
    Behind,
    /// Takes everything from a device from here on.
    RevokeDevice {
        /// Name or identifier.
        device: String,
    },
    /// Grants a caseload to a device or person, or takes it away.
    Entitle {
        /// Whose: a device's or a person's.
        of_device: bool,
        /// Name or identifier.
        name: String,
        /// Names or identifiers.
        caseloads: Vec<String>,
        /// Granted, or taken away.
        granted: bool,
    },
    /// Adds a person.
    AddPerson {
        /// Name.
        name: String,
        /// Role by name.
        role: String,
        /// Names of caseloads.
        caseloads: Vec<String>,
        /// For the console.
        password: Option<String>,
    },
    /// Lists people.
    People,
    /// Disables a person.
    DisablePerson {
        /// Name or identifier.
        name: String,
    },
    /// Adds a caseload.
    AddCaseload {
        /// Name.
        name: String,
    },
    /// Lists caseloads.
    Caseloads,
    /// Publishes a form.
    AddForm {
        /// Absolute path of the workbook.
        file: std::path::PathBuf,
        /// Name of the caseload.
        caseload: String,
        /// Absolute path of the folder with its media.
        media: Option<std::path::PathBuf>,
    },
    /// Publishes the forms of a programme.
    AddProgramme {
        /// Its name.
        name: String,
        /// Name of the caseload.
        caseload: String,
    },
    /// Lists forms.
    Forms,
    /// Retires a form.
    RetireForm {
        /// Identifier or hash.
        form: String,
    },
    /// Invites a device.
    Invite {
        /// Role by name.
        role: String,
        /// Names of caseloads.
        caseloads: Vec<String>,
        /// How long it lives.
        life_ms: i64,
        /// Where the server is or will be; empty: where it was last.
        addresses: Vec<String>,
    },
    /// Writes a backup.
    Backup {
        /// Absolute path of the file.
        file: std::path::PathBuf,
    },
    /// Where attachments are kept, and from now on where this address says.
    Attachments {
        /// Address of a bucket.
        store: Option<String>,
    },
    /// How recovery after a restore stands.
    RecoveryStatus,
    /// Ends recovery.
    CloseRecovery,
    /// Exports a form as CSV.
    Export {
        /// Identifier of the form.
        form: String,
        /// Absolute path of the folder.
        folder: std::path::PathBuf,
    },
}

/// A role by its name.
pub fn role(name: &str) -> Result<Role, Problem> {
    name.parse().map_err(|error: karwan_proto::membership::UnknownRole| {
        Problem::new(Problem::USAGE, "role", error.to_string(), "Give one of them.")
    })
}

/// Carries out a request; the answer is what `--json` prints.
pub fn run(host: &Host, request: Request) -> Result<Value, Problem> {
    let organisation = &host.organisation;
    Ok(match request {
        Request::Query(query) => {
            // Whoever asks sees what was confirmed before.
            host.projector.catch_up(organisation)?;
            query::run(host, &query)?
        }
        Request::Review(command) => review::run(host, command)?,
        Request::Decide(command) => decisions::run(host, command)?,
        Request::RebuildProjection => json!({"entries": host.projector.rebuild(organisation)?}),
        Request::Behind => json!({"oldest_ms": host.projector.oldest_unread_ms(organisation)?}),
        Request::RevokeDevice { device } => json!({"revoked": organisation.revoke_device(&device)?}),
        Request::Entitle { of_device, name, caseloads, granted } => {
            let subject = if of_device {
                Subject::Device(organisation.device_named(&name)?)
            } else {
                Subject::Person(organisation.person_named(&name)?)
            };
            for caseload in &caseloads {
                if granted { organisation.grant(subject, caseload)? } else { organisation.withdraw(subject, caseload)? }
            }
            json!({"name": name, "caseloads": caseloads, "granted": granted})
        }
        Request::AddPerson { name, role: role_name, caseloads, password } => {
            let person = organisation.add_person(&name, role(&role_name)?, &caseloads, password.as_deref())?;
            json!({"person": person, "name": name, "role": role_name})
        }
        Request::People => serde_json::to_value(organisation.people()?)?,
        Request::DisablePerson { name } => {
            organisation.disable_person(&name)?;
            json!({"disabled": name})
        }
        Request::AddCaseload { name } => json!({"caseload": organisation.add_caseload(&name)?, "name": name}),
        Request::Caseloads => serde_json::to_value(organisation.caseloads()?)?,
        Request::AddForm { file, caseload, media } => {
            serde_json::to_value(organisation.add_form(&file, &caseload, media.as_deref())?)?
        }
        Request::AddProgramme { name, caseload } => {
            serde_json::to_value(crate::programmes::add(organisation, &name, &caseload)?)?
        }
        Request::Forms => serde_json::to_value(organisation.forms()?)?,
        Request::RetireForm { form } => {
            organisation.retire_form(&form)?;
            json!({"retired": form})
        }
        Request::Invite { role: role_name, caseloads, life_ms, addresses } => {
            let addresses = if addresses.is_empty() { host.addresses()? } else { addresses };
            let invitation = organisation.invite(role(&role_name)?, &caseloads, life_ms, addresses)?;
            json!({"invitation": invitation.to_text(), "expires": rfc3339(invitation.expires_at_ms), "addresses": invitation.addresses})
        }
        Request::Backup { file } => crate::backup::write(organisation, &file)?,
        Request::Attachments { store } => {
            if let Some(address) = store {
                organisation.set_attachment_store(&address)?;
            }
            serde_json::to_value(organisation.attachment_store()?)?
        }
        Request::RecoveryStatus => organisation.recovery_status()?,
        Request::CloseRecovery => organisation.close_recovery()?,
        Request::Export { form, folder } => crate::export::run(host, &form, &folder)?,
    })
}
