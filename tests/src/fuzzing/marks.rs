//! What an input did, as a set of numbers that are compared with what inputs before it did.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// After so long an input is asked for no further step.
const TIRED_AFTER: Duration = Duration::from_secs(1);

/// What one input did, and how long its longest step took.
#[derive(Debug)]
pub struct Marks {
    pub seen: BTreeSet<u64>,
    pub longest_step: Duration,
    began: Instant,
    began_ns: u64,
    step_began_ns: u64,
}

/// Nanoseconds that this thread has run, so that whatever else the machine does counts for nothing; where the system does not say it, that have
/// passed.
fn ran_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    ran.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed().as_nanos() as u64)
}

impl Default for Marks {
    fn default() -> Self {
        let now = ran_ns();
        Self { seen: BTreeSet::new(), longest_step: Duration::ZERO, began: Instant::now(), began_ns: now, step_began_ns: now }
    }
}

impl Marks {
    /// A step is over: a form is read, an event of an interview has ended. Limits of time hold for each step.
    pub fn step(&mut self) {
        let now = ran_ns();
        self.longest_step = self.longest_step.max(Duration::from_nanos(now - self.step_began_ns));
        self.step_began_ns = now;
    }

    /// The time of all steps together.
    pub fn all_steps(&self) -> Duration {
        Duration::from_nanos(self.step_began_ns - self.began_ns)
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

    /// Notes a message by what stands before its first and after its last quoted name: names and numbers differ without meaning anything new.
    pub fn message(&mut self, message: &str) {
        let before = message.split('`').next().unwrap_or_default();
        let after = message.rsplit('`').next().unwrap_or_default();
        let words = |part: &str| part.chars().filter(char::is_ascii_lowercase).take(MESSAGE_LETTERS).collect::<String>();
        self.note((words(before), words(after)));
    }
}

/// Letters of each part of a message that count.
const MESSAGE_LETTERS: usize = 24;

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
