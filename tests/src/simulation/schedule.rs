//! What happens in a simulated world, decided beforehand from a seed, so that a part of it can be left out and the rest is the same.

use serde::{Deserialize, Serialize};

use super::line::{Harm, Line, MEETING_SESSIONS};
use crate::corpus::Dice;

/// Phones of a world.
pub const PHONES: usize = 3;
/// Interviews of one phone on a day of the usual pace, each as likely as the others: 1.25 in the mean, and some find no record.
const USUAL_EDITS: [u64; 8] = [0, 0, 0, 1, 1, 2, 2, 4];
/// Whether a phone's old copy comes back into use.
const COPIES_COME_BACK: bool = true;
const MS_OF_1970: i64 = 0;
const MS_OF_2106: i64 = 4_294_967_295_000;

/// How much happens in a device's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// 1.25 interviews, a sync every other day, a fault every third day; everything is compared once a week.
    Usual,
    /// As usual, and a data manager moves and erases records.
    Decided,
    /// As decided, and every other day a phone meets another where no server is.
    Meeting,
    /// 20 interviews and a fault every day; everything is compared every third day.
    Busy,
}

impl Pace {
    /// Days of a world, unless one is asked for with others.
    pub fn days(self) -> u64 {
        match self {
            Self::Usual | Self::Decided | Self::Meeting => 28,
            Self::Busy => 6,
        }
    }

    /// Days between two moments at which everybody comes home and everything is compared.
    fn days_between_settling(self) -> u64 {
        match self {
            Self::Usual | Self::Decided | Self::Meeting => 7,
            Self::Busy => 3,
        }
    }

    /// Most commits before a disk fails.
    fn commits_max(self) -> u64 {
        match self {
            Self::Usual | Self::Decided | Self::Meeting => 12,
            Self::Busy => 40,
        }
    }

    /// Interviews of a day.
    fn edits(self, dice: &mut Dice) -> u64 {
        match self {
            Self::Usual | Self::Decided | Self::Meeting => USUAL_EDITS[dice.below(USUAL_EDITS.len() as u64) as usize],
            Self::Busy => 20,
        }
    }

    fn has_fault(self, dice: &mut Dice) -> bool {
        self == Self::Busy || dice.below(3) == 0
    }

    fn syncs(self, dice: &mut Dice) -> bool {
        match self {
            Self::Usual | Self::Decided | Self::Meeting => dice.below(2) == 0,
            Self::Busy => dice.below(5) < 3,
        }
    }
}

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
    /// Two phones sync with each other, over a line of this kind in one of a meeting's sessions, counted from 0.
    Meet {
        guest: usize,
        host: usize,
        session: usize,
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
    /// A data manager moves a record to the other caseload.
    Move {
        record: u64,
    },
    /// A data manager erases a record.
    Erase {
        record: u64,
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
pub fn schedule(seed: u64, days: u64, pace: Pace) -> Vec<(usize, Step)> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::new();
    // Thrown apart, so that without decisions the rest is the same.
    let mut manager = Dice::new(!seed);
    let mut chance = Dice::new(seed.rotate_left(32));
    let mut revoked = false;
    for day in 1..=days {
        if matches!(pace, Pace::Decided | Pace::Meeting) {
            steps.extend(decision(&mut manager));
        }
        for phone in 0..PHONES {
            let edits = pace.edits(&mut dice).max(u64::from(day == 1));
            let fault_at = pace.has_fault(&mut dice).then(|| dice.below(edits));
            for moment in 0..edits.max(1) {
                if fault_at == Some(moment) {
                    steps.push(fault(&mut dice, pace, phone, &mut revoked));
                }
                if moment < edits {
                    steps.push(work(&mut dice, phone, day == 1 && moment == 0));
                }
            }
            if pace == Pace::Meeting {
                steps.extend(meeting(&mut chance, phone));
            }
            if pace.syncs(&mut dice) {
                steps.push(Step::Sync { phone, line: Line::Good });
            }
        }
        if day % pace.days_between_settling() == 0 || day == days {
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

/// What a data manager decides on some mornings: about every fifth a move, every twenty-fifth an erasure.
fn decision(dice: &mut Dice) -> Option<Step> {
    let (kind, record) = (dice.below(25), dice.below(1 << 32));
    match kind {
        0..5 => Some(Step::Move { record }),
        5 => Some(Step::Erase { record }),
        _ => None,
    }
}

/// Every sixth day of a phone it meets another: every other day of a world. Every third line is harmed in one of the meeting's sessions.
fn meeting(dice: &mut Dice, guest: usize) -> Option<Step> {
    let (meets, host) = (dice.below(6) == 0, (guest + 1 + dice.below(PHONES as u64 - 1) as usize) % PHONES);
    let (harmed, session, frame) = (dice.below(6), dice.below(MEETING_SESSIONS as u64) as usize, dice.below(7));
    let harm = harm(dice);
    let line = match harmed {
        0 => Line::Up(harm, frame),
        1 => Line::Down(harm, frame),
        _ => Line::Good,
    };
    meets.then_some(Step::Meet { guest, host, session, line })
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

fn fault(dice: &mut Dice, pace: Pace, phone: usize, revoked: &mut bool) -> Step {
    let whose = |dice: &mut Dice| if dice.below(3) > 0 { Whose::Phone(phone) } else { Whose::Server };
    match dice.below(100) {
        0..20 => Step::Sync { phone, line: Line::Up(harm(dice), dice.below(5)) },
        20..40 => Step::Sync { phone, line: Line::Down(harm(dice), dice.below(7)) },
        40..46 => Step::KillPhone { phone },
        46..52 => Step::KillServer,
        52..62 => Step::PowerCut { whose: whose(dice), after: dice.below(pace.commits_max()) },
        62..68 => Step::Killed { whose: whose(dice), after: dice.below(pace.commits_max()) },
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
