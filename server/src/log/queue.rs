//! The way to the writer: a thread with a queue, so that what waits together is committed together.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use karwan_proto::DeviceId;
use karwan_proto::session::{Ingested, Testimony};
use tokio::sync::oneshot;

use super::ingest::Brought;
use crate::organisation::Organisation;
use crate::problem::Problem;

/// Envelopes that wait for the writer at most; a session waits when there are more.
pub const QUEUE_MAX: usize = 1_024;
/// Envelopes in one transaction at most.
pub const BATCH_MAX: usize = 256;
/// Bytes of envelopes with which a transaction is full: what waits longer for the disk makes its devices wait, too.
const BATCH_BYTES: usize = 256 * 1024;

/// One envelope to be taken in, as a session brought it.
pub struct Job {
    /// The device of the session.
    pub bearer: DeviceId,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// What the device remembers of it, where it offers again what another log had.
    pub testimony: Option<Testimony>,
    /// Told when it is durable.
    pub answer: oneshot::Sender<Result<Ingested, Problem>>,
}

/// What waits for the writer.
enum Work {
    Envelope(Job),
    /// A device has heard everything: told when that is noted.
    Heard(DeviceId, oneshot::Sender<Result<(), Problem>>),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Envelope(job) => job.envelope.len(),
            Self::Heard(..) => 0,
        }
    }
}

/// The way to the writer.
#[derive(Clone)]
pub struct Ingest(Way);

#[derive(Clone)]
enum Way {
    /// To a thread of its own.
    Queue(SyncSender<Work>),
    /// Whoever brings an envelope takes it in.
    Here(Arc<Organisation>),
}

impl Ingest {
    /// Starts the writer.
    pub fn start(organisation: Arc<Organisation>) -> Self {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let writer = std::thread::Builder::new().name("ingest".to_owned());
        if let Err(error) = writer.spawn(move || run(&organisation, &jobs)) {
            tracing::error!(%error, "no thread for the writer: nothing is taken in");
        }
        Self(Way::Queue(queue))
    }

    /// No writer but whoever brings something, and a session's other work on files is done in its own thread too: slower where many sync,
    /// and the same twice where one thread does everything.
    pub fn here(organisation: Arc<Organisation>) -> Self {
        Self(Way::Here(organisation))
    }

    /// Does work on files: on a thread for such work, or here. `None` where it panicked.
    pub(crate) async fn do_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match &self.0 {
            Way::Queue(_) => tokio::task::spawn_blocking(work).await.ok(),
            Way::Here(_) => Some(work()),
        }
    }

    /// Queues an envelope; waits where the queue is full.
    pub fn offer(
        &self,
        bearer: DeviceId,
        envelope: Vec<u8>,
        testimony: Option<Testimony>,
    ) -> oneshot::Receiver<Result<Ingested, Problem>> {
        let (answer, answered) = oneshot::channel();
        let job = Job { bearer, envelope, testimony, answer };
        match &self.0 {
            // A queue that is gone drops the job, and the receiver says so.
            Way::Queue(queue) => drop(queue.send(Work::Envelope(job))),
            Way::Here(organisation) => take_in(organisation, vec![Work::Envelope(job)]),
        }
        answered
    }

    /// Queues that a device has heard everything: noted with the envelopes that wait beside it, since each commit waits for the disk.
    pub(crate) fn heard(&self, device: DeviceId) -> oneshot::Receiver<Result<(), Problem>> {
        let (answer, answered) = oneshot::channel();
        let work = Work::Heard(device, answer);
        match &self.0 {
            Way::Queue(queue) => drop(queue.send(work)),
            Way::Here(organisation) => take_in(organisation, vec![work]),
        }
        answered
    }
}

fn run(organisation: &Arc<Organisation>, waiting: &Receiver<Work>) {
    while let Ok(first) = waiting.recv() {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && bytes < BATCH_BYTES
            && let Ok(next) = waiting.try_recv()
        {
            bytes += next.bytes();
            batch.push(next);
        }
        take_in(organisation, batch);
        organisation.wait_for_tables();
    }
}

fn take_in(organisation: &Organisation, batch: Vec<Work>) {
    let (mut jobs, mut heard) = (Vec::new(), Vec::new());
    for work in batch {
        match work {
            Work::Envelope(job) => jobs.push(job),
            Work::Heard(device, answer) => heard.push((device, answer)),
        }
    }
    let envelopes: Vec<Brought<'_>> = jobs
        .iter()
        .map(|job| Brought { bearer: job.bearer, envelope: &job.envelope, testimony: job.testimony.as_ref() })
        .collect();
    let devices: Vec<DeviceId> = heard.iter().map(|(device, _)| *device).collect();
    match organisation.take_in_and_note(&envelopes, &devices) {
        Ok(outcomes) => {
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                job.answer.send(Ok(outcome)).ok();
            }
            for (_, answer) in heard {
                answer.send(Ok(())).ok();
            }
        }
        Err(problem) => {
            tracing::error!(code = problem.code, error = problem.error, "ingest failed");
            for job in jobs {
                job.answer.send(Err(problem.clone())).ok();
            }
            for (_, answer) in heard {
                answer.send(Err(problem.clone())).ok();
            }
        }
    }
}
