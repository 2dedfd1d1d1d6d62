//! The control socket: while a server runs on a folder, commands hand their request to it, because one process writes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::host::Host;
use crate::organisation::Organisation;
use crate::organisation::folder::{Folder, LOCK_WAIT_S, Lock};
use crate::problem::Problem;
use crate::request::{self, Request};

/// Longest request or answer, in bytes.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Carries out a request: on the server that runs on the folder, or here under the folder's lock.
pub fn ask(folder: &Path, request: &Request) -> Result<Value, Problem> {
    let paths = Folder(folder.to_path_buf());
    paths.require()?;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(LOCK_WAIT_S);
    loop {
        if let Some(answer) = ask_server(&paths, request)? {
            return answer;
        }
        if let Some(lock) = Lock::attempt(&paths)? {
            let organisation = Arc::new(Organisation::with_lock(paths, lock)?);
            return request::run(&Host::of(organisation)?, request.clone());
        }
        // Somebody has the lock and no socket yet: a command that ends soon, or a server that starts.
        if std::time::Instant::now() >= until {
            return Err(Problem::new(
                Problem::FOLDER,
                "locked",
                format!("another process has used the folder for {LOCK_WAIT_S} s"),
                "Wait until it ends, or end it.",
            ));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Asks the server that runs on the folder; `None` where none does.
pub fn ask_running(folder: &Path, request: &Request) -> Result<Option<Value>, Problem> {
    ask_server(&Folder(folder.to_path_buf()), request)?.transpose()
}

fn ask_server(folder: &Folder, request: &Request) -> Result<Option<Result<Value, Problem>>, Problem> {
    let Ok(mut stream) = UnixStream::connect(folder.socket()) else { return Ok(None) };
    let bytes = serde_json::to_vec(request)?;
    let mut exchange = || -> std::io::Result<Vec<u8>> {
        stream.write_all(&(bytes.len() as u64).to_le_bytes())?;
        stream.write_all(&bytes)?;
        let mut length = [0u8; 8];
        stream.read_exact(&mut length)?;
        let mut answer = Vec::new();
        Read::by_ref(&mut stream).take(u64::from_le_bytes(length).min(MESSAGE_BYTES_MAX as u64)).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|_| {
        let error = "the server ended before it answered";
        Problem::new(Problem::UNREACHABLE, "interrupted", error, "Look whether it was done, and try again.")
    })?;
    Ok(Some(serde_json::from_slice::<Result<Value, Problem>>(&answer)?))
}

/// Takes requests until it is dropped.
pub async fn serve(host: Host) -> Result<(), Problem> {
    let path = Folder(host.organisation.folder().to_path_buf()).socket();
    // The lock is held: a socket that is there was left by a process that was killed.
    std::fs::remove_file(&path).ok();
    let listener = tokio::net::UnixListener::bind(&path)?;
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let host = host.clone();
        tokio::spawn(async move {
            let mut length = [0u8; 8];
            if stream.read_exact(&mut length).await.is_err() {
                return;
            }
            let Some(length) = usize::try_from(u64::from_le_bytes(length)).ok().filter(|length| *length <= MESSAGE_BYTES_MAX)
            else {
                return;
            };
            let mut bytes = vec![0u8; length];
            if stream.read_exact(&mut bytes).await.is_err() {
                return;
            }
            let answer = tokio::task::spawn_blocking(move || match serde_json::from_slice::<Request>(&bytes) {
                Ok(asked) => request::run(&host, asked),
                Err(_) => Err(Problem::new(
                    Problem::USAGE,
                    "request",
                    "the server does not know this request",
                    "Use the same version of karwan as the server.",
                )),
            })
            .await
            .unwrap_or_else(|_| Err(Problem::new(Problem::FAILED, "panicked", "the request failed in the middle", "Report it.")));
            if let Ok(bytes) = serde_json::to_vec(&answer) {
                stream.write_all(&(bytes.len() as u64).to_le_bytes()).await.ok();
                stream.write_all(&bytes).await.ok();
                stream.flush().await.ok();
            }
        });
    }
}
