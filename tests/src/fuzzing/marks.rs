//! What an input did, as a set of numbers that are compared with what inputs before it did.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// After so long an input is asked for no further step.
const TIRED_AFTER: Duration = Duration::from_secs(1);

/// What one input did, and how long its longest step took.
#[derive(Debug)]
pub struct Marks {
    pub seen: BTreeSet<u64>,
    pub longest_step: Duration,
    began: Instant,
    step_began: Instant,
}

impl Default for Marks {
    fn default() -> Self {
        let now = Instant::now();
        Self { seen: BTreeSet::new(), longest_step: Duration::ZERO, began: now, step_began: now }
    }
}

impl Marks {
    /// A step is over: a form is read, an event of an interview has ended. Limits of time hold for each step.
    pub fn step(&mut self) {
        self.longest_step = self.longest_step.max(self.step_began.elapsed());
        self.step_began = Instant::now();
    }

    /// Whether the steps so far took so long together that further ones are not worth it.
    pub fn is_tired(&self) -> bool {
        self.began.elapsed() > TIRED_AFTER
    }

    /// Notes that something happened.
    pub fn note(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.seen.insert(hasher.finish());
    }

    /// Notes how many there were, by powers of two.
    pub fn count(&mut self, what: impl Hash, number: usize) {
        self.note((what, usize::BITS - number.leading_zeros()));
    }

    /// Notes a message by its words: what stands in quotes, and numbers, differ without meaning anything new.
    pub fn message(&mut self, message: &str) {
        let mut quoted = false;
        let words: String = message
            .chars()
            .filter(|character| {
                quoted ^= *character == '`';
                !quoted && (character.is_alphabetic() || *character == ' ')
            })
            .take(MESSAGE_CHARACTERS)
            .collect();
        self.note(words);
    }
}

/// Characters of a message that count.
const MESSAGE_CHARACTERS: usize = 80;

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn a_message_is_known_by_its_words() {
        let marks = |message: &str| {
            let mut marks = Marks::default();
            marks.message(message);
            marks.seen
        };
        assert_eq!(marks("`a` has 3 columns"), marks("`bb` has 17 columns"));
        assert_ne!(marks("`a` has 3 columns"), marks("`a` has 3 rows"));
    }
}
