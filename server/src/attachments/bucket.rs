//! Object storage that speaks S3's protocol, for attachments: what several servers of one organisation share, and what grows larger than a
//! server's disk. It is given what is encrypted already, under names that tell nothing but a hash.
//!
//! An object's name has a mark of its key beside the attachment's hash. Two servers to which one attachment comes at once encrypt it under two
//! keys: whichever key stays in the table, its object is there whole, and the other goes with it when the attachment goes. Nothing is taken away
//! because a table does not know it: a copy of an older database may look at the same bucket.

use std::fs::File;
use std::io::Read;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use karwan_proto::{Hash, OrganisationId};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart};

use crate::clock::random;
use crate::log::cache::Bounded;
use crate::organisation::hex;
use crate::problem::Problem;

/// How long an answer to one request is waited for.
const REQUEST_WAIT: Duration = Duration::from_secs(30);
/// How long it is waited for that something is taken away: an erasure goes on without.
const DELETE_WAIT: Duration = Duration::from_secs(10);
/// For how long a request that failed is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(20);
/// How often.
const RETRIES_MAX: usize = 4;
/// How long a whole attachment may take to be written.
const WRITE_WAIT: Duration = Duration::from_mins(10);
/// Bytes of a part of what is written: the least that S3 takes of a part is 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 2;
/// Bytes that are read at a time, and kept: devices ask for a few kilobytes after another.
const BLOCK_BYTES: u64 = 1024 * 1024;
/// Bytes of such blocks in memory at most.
const BLOCKS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Objects of one attachment, at most: one for each key under which it came at one time.
const MARKS_MAX: usize = 64;
/// Longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 1_024;
/// Most bytes of what a store says of an error.
const TOLD_BYTES_MAX: usize = 300;
/// What the name of an object begins with that tries a store out.
const TRIAL: &str = "trial-";
/// What every address begins with.
const SCHEME: &str = "s3://";

/// What one object is: an attachment, encrypted under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    /// The attachment.
    pub hash: Hash,
    /// Tells its key from others.
    mark: u64,
}

impl Object {
    /// An attachment under this key.
    pub(super) fn of(hash: Hash, key: &[u8; 32]) -> Self {
        let told = blake3::derive_key("karwan 2026-11 mark of an attachment's key", key);
        Self { hash, mark: told.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte)) }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{:016x}", self.hash, self.mark)
    }
}

impl FromStr for Object {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let (hash, mark) = name.split_once('-').filter(|(_, mark)| mark.len() == 16).ok_or(())?;
        Ok(Self { hash: hash.parse().map_err(|_| ())?, mark: u64::from_str_radix(mark, 16).map_err(|_| ())? })
    }
}

/// A block of an object, by its number.
type Block = (Object, u64);

/// A bucket, and the folder in it that is ours.
pub(crate) struct Bucket {
    /// As it was given.
    pub(super) address: String,
    store: Arc<AmazonS3>,
    folder: Path,
    blocks: Mutex<Bounded<Block, Arc<[u8]>>>,
}

/// Where a bucket is: `s3://BUCKET/FOLDER?endpoint=URL&region=NAME`.
struct Address {
    bucket: String,
    folder: Path,
    endpoint: Option<String>,
    region: Option<String>,
}

impl FromStr for Address {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let unreadable = |what: &str| {
            let mend = "Give s3://BUCKET/FOLDER, and for another store than Amazon's s3://BUCKET/FOLDER?endpoint=https://HOST:PORT&region=NAME. \
                        The access key comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the server's environment.";
            Problem::input("store-address", format!("the address of the store cannot be read: {what}"), mend)
        };
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(unreadable("it is too long"));
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| unreadable("it does not begin with s3://"))?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() || !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(unreadable("a bucket's name has letters, digits, points and hyphens only"));
        }
        let folder = Path::parse(folder).map_err(|_| unreadable("the folder has characters that no folder has"))?;
        let mut address = Self { bucket: bucket.to_owned(), folder, endpoint: None, region: None };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("endpoint", url)) if url.starts_with("http://") || url.starts_with("https://") => {
                    address.endpoint = Some(url.trim_end_matches('/').to_owned());
                }
                Some(("region", name)) if !name.is_empty() => address.region = Some(name.to_owned()),
                _ => return Err(unreadable("what follows the question mark is endpoint=URL or region=NAME")),
            }
        }
        Ok(address)
    }
}

impl Bucket {
    /// The bucket of an address, with a folder for this organisation; nothing is asked of it yet.
    pub(super) fn of(text: &str, organisation: OrganisationId) -> Result<Self, Problem> {
        let Address { bucket, folder, endpoint, region } = text.parse()?;
        // One provider for all of TLS here; another part of this process may have said so already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: RETRY_WAIT };
        let client = ClientOptions::new().with_allow_http(is_plain).with_timeout(REQUEST_WAIT);
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        let store = Arc::new(builder.build().map_err(|error| told(&error))?);
        let blocks = Mutex::new(Bounded::of(BLOCKS_BYTES_MAX));
        Ok(Self { address: text.to_owned(), store, folder: folder.join(hex(&organisation.0)), blocks })
    }

    fn path_of(&self, name: &str) -> Path {
        self.folder.clone().join(name)
    }

    /// Writes something, reads it and takes it away again.
    pub(super) fn try_out(&self) -> Result<(), Problem> {
        let (store, bytes) = (self.store.clone(), random::<16>());
        let path = self.path_of(&format!("{TRIAL}{}", hex(&bytes)));
        let read = wait(REQUEST_WAIT, async move {
            store.put(&path, PutPayload::from(bytes.to_vec())).await?;
            let read = store.get(&path).await?.bytes().await?;
            store.delete(&path).await?;
            Ok(read)
        })?;
        if read.as_ref() == bytes {
            return Ok(());
        }
        let mend = "Give a store that speaks S3's protocol, not a cache before one.";
        Err(Problem::new(Problem::FAILED, "store", "the store gives back something else than was written", mend))
    }

    /// Writes a whole file; nothing is sent where it is there already.
    pub(super) fn put(&self, object: Object, mut file: File, length: u64) -> Result<(), Problem> {
        let (store, path) = (self.store.clone(), self.path_of(&object.to_string()));
        wait(WRITE_WAIT, async move {
            match store.head(&path).await {
                Ok(there) if there.size == length => return Ok(()),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let failed = |error: std::io::Error| Error::Generic { store: "file", source: Box::new(error) };
            if length <= PART_BYTES as u64 {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                store.put(&path, PutPayload::from(bytes)).await?;
                return Ok(());
            }
            let mut writing = WriteMultipart::new_with_chunk_size(store.put_multipart(&path).await?, PART_BYTES);
            loop {
                let mut part = Vec::with_capacity(PART_BYTES);
                let read = (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).map_err(failed);
                let ready = writing.wait_for_capacity(PARTS_AT_ONCE).await;
                match (read, ready) {
                    (Ok(0), Ok(())) => break,
                    (Ok(_), Ok(())) => writing.put(part.into()),
                    (Err(error), _) | (_, Err(error)) => {
                        writing.abort().await.ok();
                        return Err(error);
                    }
                }
            }
            writing.finish().await?;
            Ok(())
        })
    }

    /// Bytes of an object of this length, from an offset on.
    pub(super) fn read(&self, object: Object, length: u64, offset: u64, many: usize) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        let end = length.min(offset.saturating_add(many as u64));
        let mut at = offset;
        while at < end {
            let number = at / BLOCK_BYTES;
            let block = self.block(object, length, number)?;
            let start = usize::try_from(at - number * BLOCK_BYTES).unwrap_or(usize::MAX);
            let wanted = usize::try_from(end - number * BLOCK_BYTES).unwrap_or(usize::MAX).min(block.len());
            let Some(part) = block.get(start..wanted).filter(|part| !part.is_empty()) else { return Err(missing()) };
            bytes.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(bytes)
    }

    fn block(&self, object: Object, length: u64, number: u64) -> Result<Arc<[u8]>, Problem> {
        let name = (object, number);
        if let Some(block) = self.blocks.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(block.clone());
        }
        let (store, path) = (self.store.clone(), self.path_of(&object.to_string()));
        let range = number * BLOCK_BYTES..length.min((number + 1) * BLOCK_BYTES);
        let block: Arc<[u8]> = wait(REQUEST_WAIT, async move { store.get_range(&path, range).await })?.as_ref().into();
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).put(name, block.clone(), block.len());
        Ok(block)
    }

    /// Takes an attachment away, under whatever key it came; nothing where it is gone already.
    pub(super) fn delete(&self, hash: Hash) -> Result<(), Problem> {
        let (store, folder, name) = (self.store.clone(), self.folder.clone(), hash.to_string());
        wait(DELETE_WAIT, async move {
            // Names that follow the hash alone: at first those of the attachment.
            let listing = store.list_with_offset(Some(&folder), &folder.clone().join(name.as_str()));
            let found: Vec<_> = futures_util::StreamExt::take(listing, MARKS_MAX).try_collect().await?;
            let ours = found.into_iter().filter(|object| {
                object.location.filename().and_then(|found| found.parse::<Object>().ok()).is_some_and(|found| found.hash == hash)
            });
            for object in ours {
                match store.delete(&object.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }
}

/// An attachment of which the store has less than the table says.
pub(super) fn missing() -> Problem {
    let mend = "Look at the bucket (karwan attachments ORG tells which), or restore the folder `attachments` from a backup.";
    Problem::new(Problem::FOLDER, "attachment-missing", "an attachment's file is missing or short", mend)
}

/// What an error of the store is told as.
fn told(error: &Error) -> Problem {
    let said: String = error.to_string().chars().take(TOLD_BYTES_MAX).collect();
    match error {
        Error::NotFound { .. } => missing(),
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => Problem::refused(
            "store-refused",
            format!("the store for attachments refuses: {said}"),
            "Look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the server's environment, and at what they may do: read, write, list and delete.",
        ),
        _ => Problem::new(
            Problem::UNREACHABLE,
            Problem::STORE_AWAY,
            format!("the store for attachments does not answer as it should: {said}"),
            "Look whether it runs, and at the address: karwan attachments ORG. What was confirmed is in it. Try again in a while.",
        ),
    }
}

/// Does what waits for the store, on a thread of its own, and waits on this one, whatever it does else.
fn wait<T: Send + 'static>(
    longest: Duration,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Problem> {
    static RUNTIME: OnceLock<Option<tokio::runtime::Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("store").enable_all().build().ok()
    });
    let away = |what: &str| {
        let mend = "Look whether the store runs, and at its address: karwan attachments ORG. Try again in a while.";
        Problem::new(Problem::UNREACHABLE, Problem::STORE_AWAY, format!("the store for attachments: {what}"), mend)
    };
    let runtime = made.as_ref().ok_or_else(|| away("no thread for it"))?;
    let (done, answer) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move { done.send(tokio::time::timeout(longest, work).await).ok() });
    let outcome = answer.recv().map_err(|_| away("the request ended in the middle"))?;
    outcome.map_err(|_| away("no answer in time"))?.map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_its_attachment_and_key() {
        let hash = Hash([7; 32]);
        let (one, other) = (Object::of(hash, &[1; 32]), Object::of(hash, &[2; 32]));
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        for name in ["", "x", &hash.to_string(), &format!("{hash}-"), &format!("{hash}-{}", "g".repeat(16)), "trial-00"] {
            assert_eq!(name.parse::<Object>(), Err(()), "{name}");
        }
    }

    #[test]
    fn an_address_says_what_of_it_cannot_be_read() {
        let read = "s3://files/org/a?endpoint=http://127.0.0.1:9000/&region=eu".parse::<Address>().ok();
        let parts = read.map(|read| (read.bucket, read.folder.to_string(), read.endpoint, read.region));
        let text = str::to_owned;
        assert_eq!(parts, Some((text("files"), text("org/a"), Some(text("http://127.0.0.1:9000")), Some(text("eu")))));
        let long = format!("s3://a/{}", "b".repeat(ADDRESS_BYTES_MAX));
        for text in ["", "files", "s3://", "s3:///a", "s3://a b", "s3://key:secret@a", "s3://a?endpoint=x", "s3://a?b", &long] {
            let problem = text.parse::<Address>().err().map(|problem| (problem.code, problem.status));
            assert_eq!(problem, Some(("store-address".to_owned(), Problem::INPUT)), "{text}");
        }
    }
}
