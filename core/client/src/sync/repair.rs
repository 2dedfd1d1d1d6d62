//! What a device gives back to a server that has forgotten something: membership entries, and, while the server recovers, names, forms
//! and their files.

use karwan_proto::directory::{DirectoryRow, Named};
use karwan_proto::ids::{CaseloadId, Hash};
use karwan_proto::limits::MAX_POINTS;
use karwan_proto::log::{Cursor, LogEntry, MediaFile, point_sequences};
use karwan_proto::membership::{Membership, SignedEntry};

use crate::device::{Inner, locked};
use crate::error::ClientError;

/// Points of the membership log, from its start to its end.
fn points(inner: &Inner) -> Result<Vec<Cursor>, ClientError> {
    let entries = locked(&inner.store).view()?.membership()?;
    let mut point = Membership::start(locked(&inner.membership).organisation());
    let mut points = vec![point];
    for bytes in entries {
        point = point.after(&bytes);
        points.push(point);
    }
    Ok(points)
}

/// Whether this point is one of our membership log.
pub(crate) fn knows_membership(inner: &Inner, point: Cursor) -> Result<bool, ClientError> {
    Ok(membership_common(inner, &[point])?.is_some())
}

/// The newest of these points that is one of our membership log.
pub(crate) fn membership_common(inner: &Inner, theirs: &[Cursor]) -> Result<Option<Cursor>, ClientError> {
    let ours = points(inner)?;
    let is_ours = |point: &&Cursor| usize::try_from(point.sequence).ok().and_then(|place| ours.get(place)) == Some(*point);
    Ok(theirs.iter().filter(is_ours).max_by_key(|point| point.sequence).copied())
}

/// Points of the membership log for the server to choose from, newest first.
pub(crate) fn membership_points(inner: &Inner) -> Result<Vec<Cursor>, ClientError> {
    let points = points(inner)?;
    let chosen = point_sequences(points.len() as u64 - 1).into_iter().take(MAX_POINTS);
    Ok(chosen.filter_map(|sequence| points.get(usize::try_from(sequence).ok()?).copied()).collect())
}

/// Membership entries after a point; all, where the point is none of ours.
pub(crate) fn membership_after(inner: &Inner, after: Cursor) -> Result<Vec<SignedEntry>, ClientError> {
    let held =
        usize::try_from(after.sequence).ok().filter(|place| points(inner).is_ok_and(|points| points.get(*place) == Some(&after)));
    let entries = locked(&inner.store).view()?.membership()?;
    entries.iter().skip(held.unwrap_or(0)).map(|bytes| Ok(SignedEntry::decode(bytes)?)).collect()
}

/// What a device knows besides the logs' envelopes.
pub(crate) struct Known {
    pub(crate) names: Vec<DirectoryRow>,
    pub(crate) forms: Vec<(CaseloadId, LogEntry)>,
    pub(crate) files: Vec<(Hash, u64)>,
}

impl Known {
    /// What this device knows.
    pub(crate) fn of(inner: &Inner) -> Result<Self, ClientError> {
        let store = locked(&inner.store);
        let view = store.view()?;
        let mut names = Vec::new();
        for (kind, named) in [("person", Named::Person), ("device", Named::Device), ("caseload", Named::Caseload)] {
            names.extend(view.directory(kind)?.into_iter().map(|row| DirectoryRow::new(named, row.id, row.name)));
        }
        let (mut forms, mut files) = (Vec::new(), Vec::<(Hash, u64)>::new());
        for row in view.forms()? {
            for hash in std::iter::once(row.hash).chain(row.media.iter().map(|(_, hash)| *hash)) {
                if !files.iter().any(|(known, _)| *known == hash)
                    && let Some(bytes) = view.blob(hash)?
                {
                    files.push((hash, bytes.len() as u64));
                }
            }
            let entry = LogEntry::Form {
                form_id: row.form_id,
                version: row.version,
                definition: row.hash,
                media: row.media.into_iter().map(|(name, hash)| MediaFile { name, hash }).collect(),
                retired: row.retired,
                extra: karwan_proto::codec::Extra::default(),
            };
            forms.push((row.caseload, entry));
        }
        forms.sort_by_key(|(caseload, _)| *caseload);
        Ok(Self { names, forms, files })
    }
}

/// A piece of a form's file, with the length of the whole; `None` where it is not here.
pub(crate) fn piece_of_file(inner: &Inner, hash: Hash, offset: u64, limit: usize) -> Result<Option<(u64, Vec<u8>)>, ClientError> {
    let Some(bytes) = locked(&inner.store).view()?.blob(hash)? else { return Ok(None) };
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let piece = bytes.get(from..bytes.len().min(from.saturating_add(limit))).unwrap_or_default().to_vec();
    Ok(Some((bytes.len() as u64, piece)))
}
