//! One session of records over one stream: does what [`ServerSession`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karwan_proto::error::NotEntitled;
use karwan_proto::limits::MAX_DIRECTORY_PER_PAGE;
use karwan_proto::session::{Admission, Ingested, Refusal, ServerEffect, Welcome};
use karwan_proto::{CaseloadId, DeviceId, Hash, PublicKey, ServerSession};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{DATABASE_RETRY_MS, HELLO_WAIT, Peer, RETRY_AFTER_MS};
use crate::log::queue::Ingest;
use crate::organisation::Organisation;
use crate::pace::Pace;
use crate::problem::Problem;
use crate::quotas::Quotas;

/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 * 1024;

/// A session.
pub(super) struct Session {
    organisation: Arc<Organisation>,
    ingest: Ingest,
    quotas: Arc<Quotas>,
    key: PublicKey,
    device: DeviceId,
    /// Files that come in pieces, as far as they have come.
    files: tokio::sync::Mutex<BTreeMap<Hash, Vec<u8>>>,
}

/// What a device may read, or why it is turned away.
fn entitled(organisation: &Organisation, device: DeviceId) -> Result<Result<BTreeSet<CaseloadId>, Refusal>, Problem> {
    Ok(organisation.membership()?.readable(device).map_err(|reason| match reason {
        NotEntitled::DeviceRevoked => Refusal::Revoked,
        _ => Refusal::UnknownDevice,
    }))
}

impl Session {
    /// With a device that has proved its key.
    pub(super) fn of(peer: Peer) -> Self {
        let Peer { organisation, ingest, quotas, key } = peer;
        Self { organisation, ingest, quotas, key, device: key.device(), files: tokio::sync::Mutex::default() }
    }

    /// The whole of it; one that is too much at once is told when to come back.
    pub(super) async fn run(self, send: &mut (impl AsyncWrite + Unpin), receive: &mut (impl AsyncRead + Unpin), busy: bool) {
        let began = Instant::now();
        let clock = move || began.elapsed().as_millis() as u64;
        let mut session = ServerSession::new(clock());
        if busy {
            session.refuse(Refusal::Busy { retry_after_ms: RETRY_AFTER_MS });
        }
        let (told, mut tells) = mpsc::unbounded_channel::<(u64, Result<Ingested, Refusal>)>();
        let mut outstanding = 0usize;
        let mut buffer = vec![0u8; READ_BYTES];
        let mut ended = false;
        let mut greeted = false;
        let mut pace = Pace::default();
        'session: loop {
            let mut finished = false;
            while let Some(effect) = session.poll() {
                match effect {
                    ServerEffect::Send(bytes) => {
                        if send.write_all(&bytes).await.is_err() {
                            break 'session;
                        }
                        session.sent(clock());
                    }
                    ServerEffect::Ingest { number, envelope, testimony, .. } => {
                        if let Err(retry_after_ms) = self.quotas.count(self.device, envelope.len(), self.organisation.now_ms()) {
                            tracing::warn!(device = %self.device, "its share of the day is used up");
                            session.refuse(Refusal::Busy { retry_after_ms });
                            continue;
                        }
                        outstanding += 1;
                        let (ingest, device, told) = (self.ingest.clone(), self.device, told.clone());
                        tokio::spawn(async move {
                            let queue = ingest.clone();
                            let answered = ingest.do_blocking(move || queue.offer(device, envelope, testimony)).await;
                            let outcome = match answered {
                                Some(answered) => match answered.await {
                                    Ok(outcome) => outcome.map_err(|problem| refusal(&problem)),
                                    Err(_) => Err(Refusal::Failed),
                                },
                                None => Err(Refusal::Failed),
                            };
                            told.send((number, outcome)).ok();
                        });
                    }
                    ServerEffect::Finished(_) => finished = true,
                    other => {
                        greeted |= matches!(other, ServerEffect::Admit { .. });
                        if let Err(problem) = self.answer(&mut session, other).await {
                            tracing::error!(code = problem.code, error = problem.error, "session failed");
                            session.refuse(refusal(&problem));
                        }
                    }
                }
            }
            if finished {
                break;
            }
            let mut wait = Duration::from_millis(session.deadline_ms().saturating_sub(clock()));
            if !greeted {
                wait = wait.min(HELLO_WAIT.saturating_sub(began.elapsed()));
            }
            tokio::select! {
                Some((number, outcome)) = tells.recv(), if outstanding > 0 => {
                    outstanding -= 1;
                    match outcome {
                        Ok(outcome) => {
                            session.ingested(number, outcome).ok();
                        }
                        Err(refusal) => session.refuse(refusal),
                    }
                }
                read = receive.read(&mut buffer), if session.wants_input() && !ended => match read {
                    Ok(0) => {
                        ended = true;
                        session.ended().ok();
                    }
                    Ok(length) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        if let Err(error) = session.receive(clock(), bytes) {
                            tracing::warn!(device = %self.device, %error, "session ended");
                        } else if outstanding == 0 && pace.is_slow(length, session.traffic().frames_in, Instant::now()) {
                            tracing::warn!(device = %self.device, "it says a byte now and then: session ended");
                            break;
                        }
                    }
                    Err(_) => break,
                },
                () = tokio::time::sleep(wait), if outstanding == 0 => {
                    if !greeted && began.elapsed() >= HELLO_WAIT {
                        tracing::warn!(device = %self.device, "it did not say hello: session ended");
                        break;
                    }
                    session.tick(clock()).ok();
                }
            }
        }
        send.shutdown().await.ok();
    }

    async fn answer(&self, session: &mut ServerSession, effect: ServerEffect) -> Result<(), Problem> {
        let organisation = self.organisation.clone();
        let (key, device) = (self.key, self.device);
        let driver_fault = |_| Problem::new(Problem::FAILED, "session", "the session took another course", "Sync again.");
        match effect {
            ServerEffect::Admit { hello, enrolment } => {
                let admission = self
                    .blocking(move || {
                        if hello.organisation != organisation.id() {
                            return Ok(Err((Refusal::WrongOrganisation, None)));
                        }
                        if let Some(enrolment) = enrolment
                            && let Err(refusal) = organisation.enrol(key, &enrolment)?
                        {
                            return Ok(Err((refusal, None)));
                        }
                        let welcome = Welcome {
                            epoch: organisation.epoch()?,
                            clock_ms: organisation.now_ms(),
                            recovering: organisation.recovering_since()?.is_some(),
                        };
                        let repairs = !organisation.knows_membership(hello.membership)?;
                        Ok(match entitled(&organisation, device)? {
                            Ok(caseloads) => {
                                let copied = organisation.note_life(device, hello.incarnation)?;
                                organisation.note_held(device, hello.caseloads.iter().map(|held| held.caseload).collect())?;
                                Ok((Admission { welcome, caseloads }, repairs, copied))
                            }
                            // What it made before it knew waits for a supervisor.
                            Err(Refusal::Revoked) if !repairs => return Ok(Err((Refusal::Revoked, Some(welcome)))),
                            // It may have joined after the backup that this server was restored from.
                            Err(Refusal::UnknownDevice) if repairs => {
                                Ok((Admission { welcome, caseloads: BTreeSet::new() }, true, false))
                            }
                            Err(refusal) => Err((refusal, None)),
                        })
                    })
                    .await?;
                if let Ok((.., true)) = admission {
                    session.tell_of_copy();
                }
                match admission {
                    Ok((admission, true, _)) => session.admit_to_repair(admission.welcome).map_err(driver_fault)?,
                    Ok((admission, false, _)) => session.admit(admission).map_err(driver_fault)?,
                    Err((refusal, Some(welcome))) => session.admit_to_bring(welcome, refusal).map_err(driver_fault)?,
                    Err((refusal, None)) => session.refuse(refusal),
                }
            }
            ServerEffect::FindMembershipCommon { points } => {
                let cursor = self.blocking(move || organisation.membership_common(&points)).await?;
                session.membership_common(cursor).map_err(driver_fault)?;
            }
            ServerEffect::TakeMembership { entries } => {
                self.blocking(move || organisation.take_back_membership(&entries)).await?;
                session.membership_taken().map_err(driver_fault)?;
            }
            ServerEffect::Readmit => match self.blocking(move || entitled(&organisation, device)).await? {
                Ok(caseloads) => session.readmit(caseloads).map_err(driver_fault)?,
                Err(refusal) => session.refuse(refusal),
            },
            ServerEffect::FindLacking { caseload, prefixes } => {
                let lacking = self.blocking(move || organisation.lacking(device, caseload, &prefixes)).await?;
                session.lacking(caseload, lacking).map_err(driver_fault)?;
            }
            ServerEffect::FormsOffered { caseload, entries } => {
                self.blocking(move || organisation.hold_forms(device, caseload, &entries)).await?;
            }
            ServerEffect::NamesOffered(rows) => self.blocking(move || organisation.take_back_names(&rows)).await?,
            ServerEffect::Introduce(people) => {
                self.blocking(move || organisation.introduce(device, &people)).await?;
                session.introduced().map_err(driver_fault)?;
            }
            ServerEffect::ReadMembership { after, limit } => {
                let (first, entries, more) = self.blocking(move || organisation.membership_after(after, limit)).await?;
                session.membership(first, entries, more).map_err(driver_fault)?;
            }
            ServerEffect::ReadDirectory { after_version } => {
                let (version, rows, more) =
                    self.blocking(move || organisation.directory_after(after_version, MAX_DIRECTORY_PER_PAGE)).await?;
                session.directory(version, false, rows, more).map_err(driver_fault)?;
            }
            ServerEffect::ReadEntries { caseload, after, incarnation, limit_bytes, limit } => {
                let page = self
                    .blocking(move || organisation.page(caseload, after, (device, incarnation), (limit_bytes, limit)))
                    .await?;
                match page {
                    Some(page) => {
                        session.definitions(page.definitions).map_err(driver_fault)?;
                        session
                            .entries(caseload, page.entries, page.head, page.backed_up, page.membership_length)
                            .map_err(driver_fault)?;
                    }
                    None => session.cursor_unknown(caseload).map_err(driver_fault)?,
                }
            }
            ServerEffect::FindCommon { caseload, points } => {
                let cursor = self.blocking(move || organisation.common(caseload, &points)).await?;
                session.common(caseload, cursor).map_err(driver_fault)?;
            }
            ServerEffect::ReadEnvelopes { caseload, envelopes } => {
                let found = self.blocking(move || organisation.envelopes(caseload, &envelopes)).await?;
                session.envelopes(caseload, found).map_err(driver_fault)?;
            }
            ServerEffect::ReadBlob { hash, offset, limit } => {
                match self.blocking(move || organisation.blob_for(device, hash)).await? {
                    Some(bytes) => {
                        let length = bytes.len();
                        let from = usize::try_from(offset).unwrap_or(length).min(length);
                        let piece = bytes.get(from..length.min(from + limit)).unwrap_or_default().to_vec();
                        session.blob_chunk(hash, length as u64, offset, piece).map_err(driver_fault)?;
                    }
                    None => session.no_blob(hash).map_err(driver_fault)?,
                }
            }
            ServerEffect::Evicted { caseload } => self.blocking(move || organisation.note_evicted(device, caseload)).await?,
            ServerEffect::Settled => {
                let ingest = self.ingest.clone();
                let noted = self.ingest.do_blocking(move || ingest.heard(device)).await.ok_or_else(panicked)?;
                noted.await.map_err(|_| panicked())??;
            }
            // Attachments come with a later version: a device that offers one keeps it.
            ServerEffect::BlobOffered { hash, length } => {
                if self.blocking(move || organisation.wants_file(hash, length)).await? {
                    self.files.lock().await.insert(hash, Vec::new());
                    session.blob_wanted(hash, 0).map_err(driver_fault)?;
                }
            }
            ServerEffect::StoreBlob { hash, length, bytes, .. } => {
                let mut files = self.files.lock().await;
                let Some(file) = files.get_mut(&hash) else { return Ok(()) };
                file.extend_from_slice(&bytes);
                if file.len() as u64 >= length {
                    let whole = files.remove(&hash).unwrap_or_default();
                    drop(files);
                    // One that is not what it was called is not kept, and not asked for again in this session.
                    if *blake3::hash(&whole).as_bytes() == hash.0 {
                        self.blocking(move || organisation.put_blob(&whole)).await?;
                        session.blob_stored(hash).map_err(driver_fault)?;
                    }
                }
            }
            ServerEffect::Send(_) | ServerEffect::Ingest { .. } | ServerEffect::Finished(_) => {}
        }
        Ok(())
    }

    /// Does work that waits for the disk, where this session's is done.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.ingest.do_blocking(work).await.unwrap_or_else(|| Err(panicked()))
    }
}

/// Does work that waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked()))
}

/// What a device is told: to come again, where the database or the store for attachments cannot be reached now.
pub(super) fn refusal(problem: &Problem) -> Refusal {
    if [Problem::DATABASE_AWAY, Problem::STORE_AWAY].contains(&problem.code.as_str()) {
        Refusal::Busy { retry_after_ms: DATABASE_RETRY_MS }
    } else {
        Refusal::Failed
    }
}

fn panicked() -> Problem {
    Problem::new(Problem::FAILED, "panicked", "the work failed in the middle", "Try again; report it if it stays.")
}
