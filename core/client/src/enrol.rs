//! Joining an organisation: the device makes its key, shows the invitation's secret to the server that the invitation certifies, and
//! keeps what the server tells of the organisation.

use std::sync::Arc;

use karwan_proto::directory::DirectoryRow;
use karwan_proto::ids::{DeviceId, IncarnationId, PersonId};
use karwan_proto::invitation::Invitation;
use karwan_proto::keys::SigningKey;
use karwan_proto::log::Cursor;
use karwan_proto::membership::{Membership, SignedEntry};
use karwan_proto::session::frame::Introduction;
use karwan_proto::session::{DeviceEffect, DeviceSession, DeviceStart, Enrolment, Hello};
use karwan_store::{Folder, Identity, KeyProvider, Opened, Store, StoreError};

use crate::clock::Clock;
use crate::device::{Device, random};
use crate::error::ClientError;
use crate::sync::networks::Networks;
use crate::sync::stream::Exchange;
use crate::sync::{dial, directory_kind};

/// What joining needs.
pub struct EnrolRequest {
    /// Where the device is to live.
    pub folder: Folder,
    /// Who keeps its key.
    pub key: Arc<dyn KeyProvider>,
    /// The device's clock.
    pub clock: Arc<dyn Clock>,
    /// The invitation's text.
    pub invitation: String,
    /// What the device is called.
    pub name: String,
    /// Who uses it; the device's name where nobody is named.
    pub person: Option<String>,
}

impl std::fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolRequest").field("folder", &self.folder.root()).finish_non_exhaustive()
    }
}

/// What the server told of the organisation.
struct Told {
    membership: Membership,
    entries: Vec<SignedEntry>,
    directory_version: u64,
    rows: Vec<DirectoryRow>,
    epoch: u64,
    address: String,
}

pub(crate) async fn enrol(request: EnrolRequest) -> Result<Device, ClientError> {
    let invitation = Invitation::from_text(&request.invitation)?;
    let server = invitation.server_key()?;
    if request.folder.holds_device() {
        return Err(ClientError::Store(StoreError::Exists(request.folder.root().to_owned())));
    }
    let seed: [u8; 32] = random();
    let key = SigningKey::from_seed(&seed);
    let connection = dial::connect(&key, &[server], &invitation.addresses, &Networks::default()).await?;
    let address = connection.address.clone();
    let person_name = request.person.clone().unwrap_or_else(|| request.name.clone());
    let person = PersonId::from_random(random());
    let start = DeviceStart {
        hello: Hello {
            organisation: invitation.organisation(),
            epoch: 0,
            incarnation: IncarnationId::from_random(random()),
            membership: Membership::start(invitation.organisation()),
            directory_version: 0,
            clock_ms: request.clock.now_ms(),
            caseloads: Vec::new(),
        },
        enrolment: Some(Enrolment {
            secret: invitation.secret,
            device_name: request.name.clone(),
            person: Introduction { person, name: person_name },
        }),
        introductions: Vec::new(),
        blobs: Vec::new(),
    };
    let exchange = Exchange::new(connection.stream, DeviceSession::new(start, 0).map_err(session_fault)?);
    let told = converse(exchange, &invitation, address).await;
    connection.link.close().await;
    let told = told?;
    keep(&request, &invitation, seed, key.public().device(), &told)
}

fn session_fault(error: karwan_proto::error::SessionError) -> ClientError {
    crate::sync::stream::session_error(error)
}

async fn converse(mut exchange: Exchange<DeviceSession>, invitation: &Invitation, address: String) -> Result<Told, ClientError> {
    let mut told = Told {
        membership: Membership::new(invitation.organisation()),
        entries: Vec::new(),
        directory_version: 0,
        rows: Vec::new(),
        epoch: 0,
        address,
    };
    loop {
        while let Some(effect) = exchange.session.poll() {
            match effect {
                DeviceEffect::Send(bytes) => exchange.send(bytes),
                DeviceEffect::NextOffer => exchange.session.offers_end().map_err(session_fault)?,
                DeviceEffect::Welcome { epoch, .. } => told.epoch = epoch,
                DeviceEffect::Membership { entries, .. } => {
                    for entry in entries {
                        told.membership.apply(&entry)?;
                        told.entries.push(entry);
                    }
                }
                DeviceEffect::Directory { version, reset, rows } => {
                    if reset {
                        told.rows.clear();
                    }
                    told.directory_version = version;
                    told.rows.extend(rows);
                }
                DeviceEffect::Settled { .. } => exchange.session.finish().map_err(session_fault)?,
                DeviceEffect::Finished(_) => {
                    exchange.close().await;
                    return Ok(told);
                }
                // An enrolment brings no entries; what else comes is fetched by the first sync.
                _ => {}
            }
        }
        exchange.listen().await?;
    }
}

/// Makes the folder, with all that was told in it.
fn keep(
    request: &EnrolRequest,
    invitation: &Invitation,
    signing_seed: [u8; 32],
    device: DeviceId,
    told: &Told,
) -> Result<Device, ClientError> {
    let known = told
        .membership
        .device(device)
        .ok_or_else(|| ClientError::Session("the membership log does not name this device".to_owned()))?;
    let mut addresses = vec![told.address.clone()];
    addresses.extend(invitation.addresses.iter().filter(|address| **address != told.address).cloned());
    let identity = Identity {
        signing_seed,
        device_name: request.name.clone(),
        organisation: invitation.organisation(),
        organisation_name: invitation.organisation_name.clone(),
        root_key: invitation.root.0,
        server_certificate: invitation.server.encode(),
        addresses,
        person: known.person,
        offset_minutes: request.clock.offset_minutes(),
    };
    let mut store = Store::create(request.folder.clone(), request.key.as_ref(), &identity)?;
    store.write(|batch| {
        for (position, entry) in told.entries.iter().enumerate() {
            batch.put_membership(position as u64 + 1, &entry.encode())?;
        }
        for row in &told.rows {
            if let Some(named) = directory_kind(row) {
                batch.put_name(&named)?;
            }
        }
        batch.set("directory_version", &told.directory_version.to_be_bytes())?;
        batch.set("epoch", &told.epoch.to_be_bytes())?;
        for caseload in &known.caseloads {
            batch.add_caseload(*caseload, Cursor::start_of(*caseload).chain)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Device::of(store, Opened::default(), request.clock.clone())
}
