//! What is fuzzed. To add a target: a file in `targets/` with its seeds, its damage and what is run, a line in [`TARGETS`], and a folder in
//! `tests/fuzz-corpus` (`fuzz NAME --seconds 60 --save` fills it).

use super::marks::Marks;
use super::targets::{answers, expression, external, xform, xlsform};
use crate::corpus::Dice;

/// One way into karwan-form.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// In few words.
    pub about: &'static str,
    /// What a run begins with, besides the kept corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// A new input from one of the corpus, with another at hand.
    pub mutate: fn(&mut Dice, &[u8], &[u8]) -> Vec<u8>,
    /// Runs an input. A panic is a finding, so what must hold is asserted.
    pub run: fn(&[u8], &mut Marks),
}

/// All targets.
pub const TARGETS: [Target; 5] = [xlsform::TARGET, xform::TARGET, expression::TARGET, answers::TARGET, external::TARGET];

/// The target of this name.
pub fn named(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
