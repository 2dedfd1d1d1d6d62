//! What the membership log says of single records: which are erased, of which a part is, which moved, and whose changes somebody adopted.
//! A record need not be here yet: what is decided of it holds when it comes.

use super::Adopted;
use crate::ids::{CaseloadId, Hash, RecordId};
use std::collections::{BTreeMap, BTreeSet};

/// Decisions about records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    erased: BTreeSet<RecordId>,
    /// The part that each generation, from 1, left out.
    parts: BTreeMap<RecordId, Vec<String>>,
    /// Where each record has been, in order, where it is last.
    ways: BTreeMap<RecordId, Vec<CaseloadId>>,
    /// Envelopes that count, wholly or for some records.
    adopted: BTreeMap<Hash, Option<BTreeSet<RecordId>>>,
}

impl Records {
    pub(super) fn erase(&mut self, record: RecordId) {
        self.erased.insert(record);
    }

    pub(super) fn erase_part(&mut self, record: RecordId, generation: u32, part: &str) {
        let parts = self.parts.entry(record).or_default();
        if parts.len() as u64 + 1 == u64::from(generation) {
            parts.push(part.to_owned());
        }
    }

    pub(super) fn move_to(&mut self, record: RecordId, from: CaseloadId, to: CaseloadId) {
        let way = self.ways.entry(record).or_insert_with(|| vec![from]);
        if way.last() == Some(&from) && from != to {
            way.push(to);
        }
    }

    pub(super) fn adopt(&mut self, adopted: &[Adopted]) {
        for Adopted { envelope, record } in adopted {
            match record {
                None => {
                    self.adopted.insert(*envelope, None);
                }
                Some(record) => {
                    if let Some(records) = self.adopted.entry(*envelope).or_insert_with(|| Some(BTreeSet::new())) {
                        records.insert(*record);
                    }
                }
            }
        }
    }

    /// Whether nothing was decided that has to be carried out.
    pub fn is_empty(&self) -> bool {
        self.erased.is_empty() && self.parts.is_empty() && self.ways.is_empty()
    }

    /// Whether a record is erased.
    pub fn is_erased(&self, record: RecordId) -> bool {
        self.erased.contains(&record)
    }

    /// All erased records.
    pub fn erased(&self) -> &BTreeSet<RecordId> {
        &self.erased
    }

    /// The generation of a record that stands.
    pub fn generation(&self, record: RecordId) -> u32 {
        self.parts.get(&record).map_or(0, |parts| u32::try_from(parts.len()).unwrap_or(u32::MAX))
    }

    /// The parts that were erased from a record, in order: the first generation without the first of them is 1.
    pub fn erased_parts(&self, record: RecordId) -> &[String] {
        self.parts.get(&record).map_or(&[], Vec::as_slice)
    }

    /// Records of which a part was erased.
    pub fn with_erased_parts(&self) -> impl Iterator<Item = RecordId> {
        self.parts.keys().copied()
    }

    /// Where a record is that began in this caseload, or that was in it before it moved on.
    pub fn caseload(&self, record: RecordId, began: CaseloadId) -> CaseloadId {
        self.moved_to(record).filter(|_| self.was_in(record, began)).unwrap_or(began)
    }

    /// Where a record is that moved.
    pub fn moved_to(&self, record: RecordId) -> Option<CaseloadId> {
        self.ways.get(&record).and_then(|way| way.last()).copied()
    }

    /// Whether a record that moved was in this caseload at any time.
    pub fn was_in(&self, record: RecordId, caseload: CaseloadId) -> bool {
        self.ways.get(&record).is_some_and(|way| way.contains(&caseload))
    }

    /// Records that moved.
    pub fn moved(&self) -> impl Iterator<Item = RecordId> {
        self.ways.keys().copied()
    }

    /// Whether somebody let a record's changes in an envelope count.
    pub fn is_adopted(&self, envelope: Hash, record: RecordId) -> bool {
        match self.adopted.get(&envelope) {
            None => false,
            Some(None) => true,
            Some(Some(records)) => records.contains(&record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: RecordId = RecordId([1; 16]);
    const HERE: CaseloadId = CaseloadId([2; 16]);
    const THERE: CaseloadId = CaseloadId([3; 16]);
    const ELSEWHERE: CaseloadId = CaseloadId([4; 16]);

    #[test]
    fn of_two_moves_from_one_caseload_the_first_wins() {
        let mut records = Records::default();
        records.move_to(RECORD, HERE, THERE);
        records.move_to(RECORD, HERE, ELSEWHERE);
        assert_eq!(records.caseload(RECORD, HERE), THERE);
        records.move_to(RECORD, THERE, ELSEWHERE);
        assert_eq!(records.caseload(RECORD, HERE), ELSEWHERE);
        assert_eq!(records.caseload(RecordId([9; 16]), HERE), HERE);
    }

    #[test]
    fn a_generation_that_is_not_the_next_has_no_effect() {
        let mut records = Records::default();
        records.erase_part(RECORD, 2, "phone");
        assert_eq!(records.generation(RECORD), 0);
        records.erase_part(RECORD, 1, "phone");
        records.erase_part(RECORD, 1, "name");
        assert_eq!(records.erased_parts(RECORD), ["phone"]);
    }

    #[test]
    fn an_adoption_names_an_envelope_or_one_of_its_records() {
        let mut records = Records::default();
        let (whole, one) = (Hash([5; 32]), Hash([6; 32]));
        records.adopt(&[Adopted { envelope: whole, record: None }, Adopted { envelope: one, record: Some(RECORD) }]);
        assert!(records.is_adopted(whole, RECORD) && records.is_adopted(one, RECORD));
        assert!(!records.is_adopted(one, RecordId([9; 16])));
    }
}
