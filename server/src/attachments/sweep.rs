//! What goes: attachments that lost their last change with an erasure, at once; those of which no change ever spoke, and what was begun and not
//! gone on with, after a time.

use std::time::SystemTime;

use karwan_proto::Hash;
use serde::Serialize;

use super::{is_referenced, keep_from_going};
use crate::database::params;
use crate::organisation::Organisation;
use crate::problem::Problem;

/// How long an attachment of which no change speaks is kept: the device that brought it may bring the change later.
pub const GRACE_MS: i64 = 30 * 86_400_000;

/// What a sweep took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Attachments.
    pub attachments: u64,
    /// Beginnings of attachments.
    pub begun: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Attachments that went from the folder to the bucket.
    pub moved: u64,
}

impl Organisation {
    /// Takes away attachments whose last change was erased. May be done again at any time: a process that was killed before leaves it to the next.
    pub(crate) fn let_attachments_go(&self) -> Result<(), Problem> {
        let gone: Vec<Hash> = self.read(|db| {
            let statement = db.prepare("SELECT hash FROM attachment_let_go ORDER BY hash");
            let rows = statement.query_map((), |row| row.get(0).map(Hash))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let mut bucket_answers = true;
        for hash in &gone {
            self.take_away(*hash, &mut bucket_answers)?;
        }
        if !gone.is_empty() {
            // Keys leave the write-ahead log too; where readers hold it up, the next does it.
            self.writing()?.keys.scrub()?;
        }
        Ok(())
    }

    /// Takes away what nothing needs and has needed since `grace_ms` before this time. While the server recovers nothing goes: changes that speak
    /// of it may come back.
    pub fn sweep_attachments(&self, now_ms: i64, grace_ms: i64) -> Result<Swept, Problem> {
        let mut swept = Swept::default();
        if self.recovering_since()?.is_some() {
            return Ok(swept);
        }
        self.let_attachments_go()?;
        let unneeded: Vec<(Hash, u64)> = self.read(|db| {
            let statement = db.prepare(
                "SELECT hash, length FROM attachment WHERE kept_at_ms <= ?1 \
                 AND NOT EXISTS (SELECT 1 FROM attachment_reference WHERE attachment = hash) ORDER BY hash",
            );
            let rows = statement
                .query_map([now_ms.saturating_sub(grace_ms)], |row| Ok((Hash(row.get(0)?), row.get::<i64>(1)? as u64)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let mut bucket_answers = true;
        for (hash, length) in unneeded {
            if self.take_away(hash, &mut bucket_answers)? {
                swept.attachments += 1;
                swept.bytes += length;
            }
        }
        let has_bucket = self.bucket()?.is_some();
        let Ok(files) = std::fs::read_dir(self.folder.attachments()) else { return Ok(swept) };
        for file in files {
            let file = file?;
            let (Ok(name), Ok(metadata)) = (file.file_name().into_string(), file.metadata()) else { continue };
            let touched_ms = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            let touched_ms = touched_ms.map_or(0, |since| since.as_millis() as i64);
            let is_young = touched_ms > now_ms.saturating_sub(grace_ms);
            // Most files are young, and stay: they are looked up only where they may go elsewhere.
            if is_young && !has_bucket {
                continue;
            }
            match name.parse::<Hash>() {
                Ok(hash) if self.attachment_length(hash)?.is_some() => {
                    swept.moved += u64::from(has_bucket && self.move_to_bucket(hash)? > 0);
                    continue;
                }
                _ if is_young => continue,
                _ => {}
            }
            // A file that no row names was left by a process that was killed before it wrote the row.
            self.forget_file(&name)?;
            swept.begun += 1;
            swept.bytes += metadata.len();
        }
        Ok(swept)
    }

    /// An attachment goes, unless a change speaks of it by now. Its key and file go at once; what the bucket has goes with a later sweep where that does
    /// not answer, and is asked for the rest no more.
    fn take_away(&self, hash: Hash, bucket_answers: &mut bool) -> Result<bool, Problem> {
        {
            let core = self.writing()?;
            // Under the lock that ingest takes: no change comes in between.
            if is_referenced(&core.db, hash)? {
                keep_from_going(&core.db, hash)?;
                return Ok(false);
            }
            core.db.execute("INSERT INTO attachment_let_go(hash) VALUES(?1) ON CONFLICT DO NOTHING", params![hash.0])?;
            core.db.prepare("DELETE FROM attachment WHERE hash = ?1").execute(params![hash.0])?;
        }
        self.forget_file(&hash.to_string())?;
        if let Some(bucket) = self.bucket()? {
            if !*bucket_answers {
                return Ok(true);
            }
            if let Err(problem) = bucket.delete(hash) {
                tracing::warn!(
                    code = problem.code,
                    error = problem.error,
                    "what was erased waits in the bucket, without its key, for the next sweep"
                );
                *bucket_answers = false;
                return Ok(true);
            }
        }
        keep_from_going(&self.writing()?.db, hash)?;
        Ok(true)
    }
}
