//! Records as field teams write them, made by a seeded generator: the corpus that the dictionary is trained on and, with other
//! people and another seed, the one that bytes on the wire are measured on.
//!
//! A record has eighty values: forty of the household, and eight for each of five members. They are what such forms hold: times, a
//! place, documents, phones, choices, names, a note.

pub mod words;

use std::collections::BTreeSet;

use karwan_form::answers::{Answer, Answers, Instance, order_between};
use karwan_proto::envelope::{EnvelopeHeader, Item, seal};
use karwan_proto::{CaseloadId, Envelope, Hash, IncarnationId, PersonId, RecordId, Role, SigningKey};
use karwan_record::{Author, Provenance, Record, Shape, Stamp};

use words::{Kind, People, Questions};

/// Changes in one envelope of the figures.
pub const BATCH: usize = 100;
/// People in one household.
const MEMBERS: usize = 5;
/// 20 May 2026, in milliseconds since 1970.
const START_MS: i64 = 1_779_235_200_000;
const OFFSET_MINUTES: i32 = 210;

/// Numbers from a seed: the same everywhere (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit.max(1)
    }

    /// One of these.
    pub fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.get(self.below(choices.len() as u64) as usize).copied().unwrap_or_default()
    }

    /// Some bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

/// A device that collects.
#[derive(Debug)]
pub struct Team {
    dice: Dice,
    questions: &'static Questions,
    people: &'static People,
    key: SigningKey,
    incarnation: IncarnationId,
    person: PersonId,
    caseload: CaseloadId,
    form: Hash,
    at_ms: i64,
    counter: u64,
    previous: Option<Hash>,
}

impl Team {
    /// A team that asks these questions of these people.
    pub fn new(seed: u64, questions: &'static Questions, people: &'static People) -> Self {
        let mut dice = Dice::new(seed);
        let key = SigningKey::from_seed(&dice.bytes());
        let incarnation = IncarnationId::from_random(dice.bytes());
        let person = PersonId::from_random(dice.bytes());
        let caseload = CaseloadId::from_random(dice.bytes());
        let form = Hash(*blake3::hash(questions.form.as_bytes()).as_bytes());
        Self { dice, questions, people, key, incarnation, person, caseload, form, at_ms: START_MS, counter: 0, previous: None }
    }

    fn author(&self) -> Author {
        let provenance = Provenance {
            device: self.key.public().device(),
            person: self.person,
            role: Role::Enumerator,
            at_ms: self.at_ms,
            offset_minutes: OFFSET_MINUTES,
        };
        Author { actor: self.incarnation.0, provenance }
    }

    fn stamp(&mut self) -> Stamp {
        Stamp { at_ms: self.at_ms, offset_minutes: OFFSET_MINUTES, random: self.dice.bytes() }
    }

    /// A new record of eighty values, 20 to 50 minutes after the last.
    ///
    /// # Panics
    /// Where the record cannot be made.
    #[allow(clippy::expect_used)]
    pub fn record(&mut self) -> (Record, Vec<u8>) {
        self.at_ms += 1_200_000 + self.dice.below(1_800_000) as i64;
        let id = RecordId::from_random(self.dice.bytes());
        let answers = self.answers();
        let (author, stamp) = (self.author(), self.stamp());
        Record::create(id, &Shape::unknown(), self.form, &answers, &[], &author, &stamp).expect("answers make a record")
    }

    fn answers(&mut self) -> Answers {
        let mut answers = Answers::default();
        for (key, kind) in self.questions.household {
            let value = self.value(*kind);
            answers.values.insert((*key).to_owned(), value);
        }
        let mut order = None;
        for _ in 0..MEMBERS {
            let mut member = Answers::default();
            for (key, kind) in self.questions.member {
                let value = self.value(*kind);
                member.values.insert((*key).to_owned(), value);
            }
            let id = RecordId::from_random(self.dice.bytes()).to_string();
            let key = order_between(order.as_deref(), None);
            order = Some(key.clone());
            answers.repeats.entry(self.questions.repeat.to_owned()).or_default().push(Instance {
                id,
                order: key,
                answers: member,
            });
        }
        answers
    }

    fn value(&mut self, kind: Kind) -> Answer {
        let people = self.people;
        let dice = &mut self.dice;
        let digits = |dice: &mut Dice, count: u32| format!("{:0width$}", dice.below(10u64.pow(count)), width = count as usize);
        let date = |dice: &mut Dice, from: u64, years: u64| {
            format!("{}-{:02}-{:02}", from + dice.below(years), 1 + dice.below(12), 1 + dice.below(28))
        };
        Answer::Text(match kind {
            Kind::Time(before_s) => time(self.at_ms - (before_s as i64) * 1000 - dice.below(240_000) as i64),
            Kind::Today => time(self.at_ms)[..10].to_owned(),
            Kind::Always(text) => text.to_owned(),
            Kind::One(choices) => dice.of(choices).to_owned(),
            Kind::Several(choices) => {
                let count = 1 + dice.below(3);
                return Answer::Set((0..count).map(|_| dice.of(choices).to_owned()).collect::<BTreeSet<_>>());
            }
            Kind::Given => dice.of(people.given).to_owned(),
            Kind::Family => dice.of(people.family).to_owned(),
            Kind::Place => dice.of(people.places).to_owned(),
            Kind::Note => format!("{} {}", dice.of(people.notes), dice.of(people.notes)),
            Kind::Birth(from, years) => date(dice, from, years),
            Kind::Count(most) => (1 + dice.below(most)).to_string(),
            Kind::Digits(prefix, count) => format!("{prefix}{}", digits(dice, count)),
            Kind::Point => {
                let (north, east) = (people.north + dice.below(300_000), people.east + dice.below(300_000));
                let (height, within) = (900 + dice.below(200), 3 + dice.below(9));
                format!(
                    "{}.{:06} {}.{:06} {height}.0 {within}.{}",
                    north / 1_000_000,
                    north % 1_000_000,
                    east / 1_000_000,
                    east % 1_000_000,
                    dice.below(10)
                )
            }
            Kind::Identifier => format!("uuid:{}", RecordId::from_random(dice.bytes())),
        })
    }

    /// An edit of one field that this device makes, one to ten minutes after its last.
    ///
    /// # Panics
    /// Where the record cannot be edited.
    #[allow(clippy::expect_used)]
    pub fn edit(&mut self, record: &mut Record) -> Vec<u8> {
        loop {
            self.at_ms += 60_000 + self.dice.below(540_000) as i64;
            let mut answers = record.answers(&Shape::unknown());
            let edited = self.questions.edited;
            let (key, kind) = edited[self.dice.below(edited.len() as u64) as usize];
            let value = self.value(kind);
            if let Some(below) = key.strip_prefix(self.questions.repeat).and_then(|key| key.strip_prefix('/')) {
                let place = self.dice.below(MEMBERS as u64) as usize;
                let members = answers.repeats.get_mut(self.questions.repeat).expect("members");
                members[place].answers.values.insert(below.to_owned(), value);
            } else {
                answers.values.insert(key.to_owned(), value);
            }
            let (author, stamp) = (self.author(), self.stamp());
            let seen = record.heads();
            let edit = record.edit(&Shape::unknown(), &seen, self.form, &answers, &[], &author, &stamp).expect("an edit");
            if let Some(change) = edit {
                return change;
            }
        }
    }

    /// These changes in this team's next envelope.
    ///
    /// # Panics
    /// Where they make no envelope.
    #[allow(clippy::expect_used)]
    pub fn seal(&mut self, changes: Vec<(RecordId, Vec<u8>)>) -> Envelope {
        self.counter += 1;
        let header = EnvelopeHeader {
            caseload: self.caseload,
            device: self.key.public().device(),
            incarnation: self.incarnation,
            counter: self.counter,
            previous: self.previous,
            person: self.person,
            membership_position: 12,
            clock_ms: self.at_ms,
            offset_minutes: OFFSET_MINUTES,
            change_count: 0,
            root: Hash([0; 32]),
            extra: karwan_proto::codec::Extra::default(),
        };
        let items = changes.into_iter().map(|(record, change)| Item::Change { record, generation: 0, change }).collect();
        let secret = self.dice.bytes();
        let envelope = seal(header, items, secret, &self.key).expect("the changes make an envelope");
        self.previous = Some(envelope.hash());
        envelope
    }

    /// Envelopes of new records, `size` in each, and the records.
    pub fn collect(&mut self, envelopes: usize, size: usize) -> (Vec<Envelope>, Vec<Record>) {
        let mut records = Vec::new();
        let mut sealed = Vec::new();
        for _ in 0..envelopes {
            let mut changes = Vec::new();
            for _ in 0..size {
                let (record, change) = self.record();
                changes.push((record.id(), change));
                records.push(record);
            }
            sealed.push(self.seal(changes));
        }
        (sealed, records)
    }

    /// Envelopes of one edit each of these records, `size` in each.
    pub fn correct(&mut self, records: &mut [Record], size: usize) -> Vec<Envelope> {
        let mut sealed = Vec::new();
        for some in records.chunks_mut(size) {
            let changes = some.iter_mut().map(|record| (record.id(), self.edit(record))).collect();
            sealed.push(self.seal(changes));
        }
        sealed
    }
}

/// A moment as a form writes it, at +03:30.
fn time(at_ms: i64) -> String {
    let local = at_ms + i64::from(OFFSET_MINUTES) * 60_000;
    let day = local.div_euclid(86_400_000) - 20_593;
    let of_day = local.rem_euclid(86_400_000);
    // Days since 20 May 2026, in months of thirty days from May on: a made-up calendar is real enough here.
    let (month, day) = (5 + (19 + day) / 30 % 8, 1 + (19 + day) % 30);
    let (hours, minutes, seconds) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("2026-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}+03:30", of_day % 1000)
}
