//! What happens in a simulated world, decided beforehand from a seed, so that a part of it can be left out and the rest is the same.

use super::line::{Harm, Line};
use crate::corpus::Dice;

/// Phones of a world.
pub const PHONES: usize = 3;
/// Edits that one phone makes in a day.
pub const EDITS_A_DAY: u64 = 20;
/// Days between two moments at which everybody comes home and everything is compared.
const DAYS_BETWEEN_SETTLING: u64 = 3;
/// Most commits before a disk fails.
const COMMITS_MAX: u64 = 40;
/// Whether a phone's old copy comes back into use.
const COPIES_COME_BACK: bool = true;
const MS_OF_1970: i64 = 0;
const MS_OF_2106: i64 = 4_294_967_295_000;

/// Whose disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Phone(usize),
    Server,
}

/// One thing that happens. Records are counted in the order in which they were made; a number beyond them begins again at the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new interview.
    Create {
        phone: usize,
    },
    /// An answer of a record is changed.
    Edit {
        phone: usize,
        record: u64,
        question: &'static str,
    },
    /// A member is added to a household.
    Member {
        phone: usize,
        record: u64,
    },
    Sync {
        phone: usize,
        line: Line,
    },
    /// The app is killed.
    KillPhone {
        phone: usize,
    },
    /// The server is killed.
    KillServer,
    /// The power goes in a commit, after so many commits: of the phone, or of the server.
    PowerCut {
        whose: Whose,
        after: u64,
    },
    /// The process is killed in a commit.
    Killed {
        whose: Whose,
        after: u64,
    },
    /// The server is backed up.
    Backup,
    /// The server is lost and restored from its last backup.
    Restore,
    /// A phone's database is copied aside.
    CopyPhone {
        phone: usize,
    },
    /// A phone's database is replaced by the copy.
    RestorePhone {
        phone: usize,
    },
    /// The copy becomes a second phone with the same key, beside the first.
    ClonePhone {
        phone: usize,
        with_witness: bool,
    },
    /// A phone loses every right.
    Revoke {
        phone: usize,
    },
    /// A phone's clock shows another time.
    Clock {
        phone: usize,
        ms: i64,
    },
    /// Everybody comes home, and everything is compared.
    Settle,
}

/// Questions that are edited; each holds a text.
pub const QUESTIONS: [&str; 4] = ["head_name", "father_name", "document_no", "phone"];

/// The steps of a world with this seed, each with its number.
pub fn schedule(seed: u64, days: u64) -> Vec<(usize, Step)> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::new();
    let mut revoked = false;
    for day in 1..=days {
        for phone in 0..PHONES {
            let fault_at = dice.below(EDITS_A_DAY);
            for edit in 0..EDITS_A_DAY {
                if edit == fault_at {
                    steps.push(fault(&mut dice, phone, &mut revoked));
                }
                steps.push(work(&mut dice, phone, day == 1 && edit == 0));
            }
            if dice.below(5) < 3 {
                steps.push(Step::Sync { phone, line: Line::Good });
            }
        }
        if day % DAYS_BETWEEN_SETTLING == 0 || day == days {
            steps.push(Step::Settle);
        }
    }
    steps.into_iter().enumerate().collect()
}

fn work(dice: &mut Dice, phone: usize, first: bool) -> Step {
    let record = dice.below(1 << 32);
    match dice.below(20) {
        _ if first => Step::Create { phone },
        0 => Step::Create { phone },
        1 | 2 => Step::Member { phone, record },
        _ => Step::Edit { phone, record, question: QUESTIONS[dice.below(QUESTIONS.len() as u64) as usize] },
    }
}

fn harm(dice: &mut Dice) -> Harm {
    match dice.below(6) {
        0 | 1 => Harm::Cut,
        2 => Harm::Lost,
        3 => Harm::Twice,
        4 => Harm::Exchanged,
        _ => Harm::Damaged(dice.below(1 << 32) as u32),
    }
}

fn fault(dice: &mut Dice, phone: usize, revoked: &mut bool) -> Step {
    let whose = |dice: &mut Dice| if dice.below(3) > 0 { Whose::Phone(phone) } else { Whose::Server };
    match dice.below(100) {
        0..20 => Step::Sync { phone, line: Line::Up(harm(dice), dice.below(5)) },
        20..40 => Step::Sync { phone, line: Line::Down(harm(dice), dice.below(7)) },
        40..46 => Step::KillPhone { phone },
        46..52 => Step::KillServer,
        52..62 => Step::PowerCut { whose: whose(dice), after: dice.below(COMMITS_MAX) },
        62..68 => Step::Killed { whose: whose(dice), after: dice.below(COMMITS_MAX) },
        68..74 => Step::Backup,
        74..80 => Step::Restore,
        80..86 => Step::CopyPhone { phone },
        86..90 if COPIES_COME_BACK => Step::RestorePhone { phone },
        90..93 if COPIES_COME_BACK => Step::ClonePhone { phone, with_witness: dice.below(2) == 0 },
        93..95 if !*revoked && phone == PHONES - 1 => {
            *revoked = true;
            Step::Revoke { phone }
        }
        _ => {
            let span = (MS_OF_2106 - MS_OF_1970) as u64;
            Step::Clock { phone, ms: MS_OF_1970 + dice.below(span) as i64 }
        }
    }
}
