//! One session over one stream: bytes go out through a task of their own, so that a slow line never keeps the device from reading.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use karwan_proto::error::SessionError;
use karwan_proto::session::{DeviceSession, ServerSession};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::transport::Stream;
use crate::error::ClientError;

/// Bytes read at once at most.
const READ_BYTES: usize = 128 * 1024;
/// How long the last bytes may take on their way out.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// A side of a session: the machine that says what to do.
pub(crate) trait Side {
    /// When to look at the clock if nothing comes before.
    fn deadline_ms(&self) -> u64;
    /// Looks at the clock.
    fn tick(&mut self, now_ms: u64) -> Result<(), SessionError>;
    /// The other side ended the stream.
    fn ended(&mut self) -> Result<(), SessionError>;
    /// Takes in bytes.
    fn receive(&mut self, now_ms: u64, bytes: &[u8]) -> Result<(), SessionError>;
}

macro_rules! side {
    ($session:ty) => {
        impl Side for $session {
            fn deadline_ms(&self) -> u64 {
                <$session>::deadline_ms(self)
            }

            fn tick(&mut self, now_ms: u64) -> Result<(), SessionError> {
                <$session>::tick(self, now_ms)
            }

            fn ended(&mut self) -> Result<(), SessionError> {
                <$session>::ended(self)
            }

            fn receive(&mut self, now_ms: u64, bytes: &[u8]) -> Result<(), SessionError> {
                <$session>::receive(self, now_ms, bytes)
            }
        }
    };
}

side!(DeviceSession);
side!(ServerSession);

/// A session and its stream.
pub(crate) struct Exchange<S> {
    pub(crate) session: S,
    out: Option<mpsc::UnboundedSender<Vec<u8>>>,
    writer: JoinHandle<()>,
    receive: Box<dyn AsyncRead + Send + Unpin>,
    buffer: Vec<u8>,
    began: Instant,
}

impl<S: Side> Exchange<S> {
    /// Begins.
    pub(crate) fn new(stream: Stream, session: S) -> Self {
        let Stream { mut send, receive } = stream;
        let (out, mut bytes) = mpsc::unbounded_channel::<Vec<u8>>();
        let writer = tokio::spawn(async move {
            while let Some(bytes) = bytes.recv().await {
                // A broken stream shows on the reading side.
                if !send.write(&bytes).await {
                    return;
                }
            }
            send.finish().await;
        });
        Self { session, out: Some(out), writer, receive, buffer: vec![0; READ_BYTES], began: Instant::now() }
    }

    /// Hands bytes to the transport. What is outstanding is bounded by the session's own limits. Who no longer reads may have said why:
    /// that a stream is broken shows on the reading side, after what was said.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        if let Some(out) = &self.out {
            out.send(bytes).ok();
        }
    }

    /// Milliseconds since the session began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for bytes and gives them to the session.
    pub(crate) async fn listen(&mut self) -> Result<(), ClientError> {
        let wait = Duration::from_millis(self.session.deadline_ms().saturating_sub(self.now_ms()).max(1));
        let read = tokio::time::timeout(wait, self.receive.read(&mut self.buffer)).await;
        let now_ms = self.now_ms();
        match read {
            Err(_) => self.session.tick(now_ms).map_err(session_error),
            Ok(read) => self.took(now_ms, read),
        }
    }

    /// Gives bytes to the session that are here already; says whether there were any.
    pub(crate) async fn listen_if_ready(&mut self) -> Result<bool, ClientError> {
        // What carries the bytes here may run in this thread.
        tokio::task::yield_now().await;
        let now_ms = self.now_ms();
        // Asked once, without a clock: a timer of no time at all takes up to a millisecond, in which bytes come or do not.
        let read = {
            let mut read = pin!(self.receive.read(&mut self.buffer));
            poll_fn(|context| {
                Poll::Ready(match read.as_mut().poll(context) {
                    Poll::Ready(read) => Some(read),
                    Poll::Pending => None,
                })
            })
            .await
        };
        read.map_or(Ok(false), |read| self.took(now_ms, read).map(|()| true))
    }

    fn took(&mut self, now_ms: u64, read: std::io::Result<usize>) -> Result<(), ClientError> {
        match read {
            Ok(0) => self.session.ended().map_err(session_error),
            Ok(length) => self.session.receive(now_ms, self.buffer.get(..length).unwrap_or_default()).map_err(session_error),
            Err(error) => Err(ClientError::Interrupted(error.to_string())),
        }
    }

    /// Ends the stream in good order.
    pub(crate) async fn close(mut self) {
        self.out = None;
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, &mut self.writer).await;
        self.writer.abort();
    }
}

/// What moved on a stream.
pub(crate) enum Moved {
    /// So many bytes came; none where it ended.
    In(usize),
    /// Some went.
    Out,
}

/// Waits until bytes come, or some of those that are to go have gone; nothing is lost where this is given up.
pub(crate) async fn move_bytes(
    stream: &mut Stream,
    out: &mut Vec<u8>,
    buffer: &mut [u8],
    idle: Duration,
) -> Result<Moved, ClientError> {
    let Stream { send, receive } = stream;
    let moved = tokio::time::timeout(idle, async {
        tokio::select! {
            read = receive.read(buffer) => read.map(Moved::In),
            written = send.write_some(out), if !out.is_empty() => written.map(|many| {
                drop(out.drain(..many));
                Moved::Out
            }),
        }
    });
    let silent = |_| ClientError::Interrupted(format!("nothing moved for {} s", idle.as_secs()));
    moved.await.map_err(silent)?.map_err(|error| ClientError::Interrupted(error.to_string()))
}

/// What a session's error is to a caller of the client.
pub(crate) fn session_error(error: SessionError) -> ClientError {
    match error {
        SessionError::Refused(refusal) => ClientError::Refused(refusal),
        SessionError::CutOff | SessionError::Idle { .. } => ClientError::Interrupted(error.to_string()),
        other => ClientError::Session(other.to_string()),
    }
}
