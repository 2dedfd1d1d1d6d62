//! Bytes on the wire: whole envelopes of a hundred changes as a device sends them, divided by a hundred.

use super::{Figure, Gate, Scale};
use crate::corpus::words::{MEASURED, MET, Questions, UNMET};
use crate::corpus::{BATCH, Team};

/// Envelopes that are measured.
const ENVELOPES: usize = 5;

/// Bytes of a change in each of: new records, own edits, edits of records that another device made.
pub fn changes(questions: &'static Questions) -> [f64; 3] {
    let mut team = Team::new(7, questions, &MEASURED);
    let mut other = Team::new(8, questions, &MEASURED);
    let (created, mut records) = team.collect(ENVELOPES, BATCH);
    let edits = team.correct(&mut records, BATCH);
    let edits_of_others = other.correct(&mut records, BATCH);
    [created, edits, edits_of_others].map(|envelopes| {
        let bytes: usize = envelopes.iter().map(|envelope| envelope.encode().len()).sum();
        bytes as f64 / (ENVELOPES * BATCH) as f64
    })
}

/// One-field edits: the dearer of a device's own records and another's.
pub fn edit(scale: Scale) -> Figure {
    let ([_, own, others], [_, own_unmet, others_unmet]) = (changes(&MET), changes(&UNMET));
    eprintln!(
        "edit: own {own:.1} B, another's {others:.1} B; a form that the dictionary has not met: {own_unmet:.1}, {others_unmet:.1}"
    );
    let (value, gate) = (own.max(others), Gate::AtMost(60.0));
    Figure { name: "edit_bytes_on_wire", value, unit: "B", gate, correctness: false, scale }
}

/// New records of eighty values.
pub fn record(scale: Scale) -> Figure {
    let ([value, ..], [unmet, ..]) = (changes(&MET), changes(&UNMET));
    eprintln!("record: {value:.1} B; of a form that the dictionary has not met: {unmet:.1} B");
    let gate = Gate::AtMost(330.0);
    Figure { name: "record_bytes_on_wire", value, unit: "B", gate, correctness: false, scale }
}
