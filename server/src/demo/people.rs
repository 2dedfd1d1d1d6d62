//! Families as teams meet them on the road: people with names in two scripts, documents, phones and Solar Hijri birth dates, and how
//! one enumerator's keyboard writes them. Everything is drawn from a seed, so every run meets the same people.

use std::collections::BTreeSet;

use karwan_linkage::solar::month_days;
use karwan_linkage::{Identity, link_keys};

use super::names::{FEMALE, MALE, Name, SURNAMES};

/// The Solar Hijri year in which the teams travel.
pub const YEAR: i32 = 1405;

/// Draws the same from the same seed on every machine (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range, its end left out.
    pub fn within(&mut self, range: std::ops::Range<i32>) -> i32 {
        let span = u64::try_from(range.end - range.start).unwrap_or(1).max(1);
        range.start + i32::try_from(self.draw() % span).unwrap_or(0)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, share: u64) -> bool {
        self.draw() % 100 < share
    }

    /// One of these; `None` of nothing.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(of.len()).ok().filter(|count| *count > 0)?;
        of.get(usize::try_from(self.draw() % count).unwrap_or(0))
    }

    /// So many decimal digits.
    pub fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit((self.draw() % 10) as u32, 10).unwrap_or('0')).collect()
    }
}

/// A birth date; what is unknown stays unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Solar Hijri.
    pub year: i32,
    /// 1 to 12.
    pub month: Option<u32>,
    /// 1 to 31.
    pub day: Option<u32>,
}

/// What sort of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// Afghan identity card, the electronic one.
    Tazkira,
    /// Card of an Iranian registration round.
    Amayesh,
    /// Iran's unified code of foreign nationals.
    Fida,
    /// Passport.
    Passport,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What sort.
    pub kind: DocumentKind,
    /// Its number as it is printed on it, in Latin digits.
    pub number: String,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Given name, often the only one.
    pub given: Name,
    /// Surname, where there is one.
    pub surname: Option<Name>,
    /// The father's given name.
    pub father: Name,
    /// The father's father's.
    pub grandfather: Option<Name>,
    /// Sex.
    pub female: bool,
    /// When born.
    pub birth: Birth,
    /// A document, where there is one.
    pub document: Option<Document>,
}

/// Those who travel together, the head first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Head, spouse, children, in this order.
    pub members: Vec<Person>,
    /// Whether the second member is the head's spouse.
    pub couple: bool,
    /// The phone's digits as dialled at home.
    pub phone: Phone,
}

/// A phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// `98` or `93`.
    pub country: &'static str,
    /// Without the country and the leading 0.
    pub digits: String,
}

impl Person {
    /// The same person, met by somebody who is shown no document.
    #[must_use]
    pub fn without_document(&self) -> Self {
        Self { document: None, ..self.clone() }
    }
}

/// Draws families of whom no two people could be taken for one another.
#[derive(Debug)]
pub struct Families {
    chance: Chance,
    known: BTreeSet<String>,
}

impl Families {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), known: BTreeSet::new() }
    }

    /// The next family.
    pub fn meet(&mut self) -> Family {
        loop {
            let family = draw_family(&mut self.chance);
            let mut fresh = BTreeSet::new();
            let keys: Vec<String> = family.members.iter().flat_map(keys).collect();
            if keys.iter().all(|key| !self.known.contains(key) && fresh.insert(key.clone())) {
                self.known.append(&mut fresh);
                return family;
            }
        }
    }
}

/// The keys under which the server would look for a second registration, in both scripts.
fn keys(person: &Person) -> Vec<String> {
    let in_script = |script: fn(&Name) -> &'static str| {
        link_keys(&Identity {
            given_name: script(&person.given).to_owned(),
            surname: person.surname.as_ref().map(script).unwrap_or_default().to_owned(),
            father_name: script(&person.father).to_owned(),
            birth_year: person.birth.year.to_string(),
            document: person.document.as_ref().map(|document| document.number.clone()).unwrap_or_default(),
            ..Identity::default()
        })
    };
    let mut keys = in_script(|name| name.persian);
    keys.extend(in_script(|name| name.latin));
    keys.sort();
    keys.dedup();
    keys
}

fn draw_family(chance: &mut Chance) -> Family {
    let surname = chance.percent(60).then(|| chance.one(SURNAMES).copied()).flatten();
    let widow = chance.percent(14);
    let age = chance.within(22..66);
    let head = draw_person(chance, widow, None, surname, YEAR - age);
    let mut members = vec![head.clone()];
    let couple = !widow && chance.percent(78);
    if couple {
        let spouse = YEAR - (age - chance.within(0..8)).max(18);
        // Women keep their own family's name.
        let own = chance.percent(50).then(|| chance.one(SURNAMES).copied()).flatten();
        members.push(draw_person(chance, true, None, own, spouse));
    }
    let late_husband = chance.one(MALE).copied();
    let father = if widow { late_husband } else { Some(head.given) };
    let children = if widow || couple { chance.within(0..6).min((age - 17).max(0)) } else { 0 };
    for _ in 0..children {
        let years = chance.within(0..(age - 17).clamp(1, 18));
        let girl = chance.percent(50);
        let mut child = draw_person(chance, girl, father, surname, YEAR - years);
        // Small children are on their parents' papers.
        if years < 7 {
            child.document = None;
        }
        members.push(child);
    }
    Family { members, couple, phone: draw_phone(chance) }
}

fn draw_person(chance: &mut Chance, female: bool, father: Option<Name>, surname: Option<Name>, year: i32) -> Person {
    let fallback = Name { persian: "احمد", latin: "Ahmad" };
    let given = chance.one(if female { FEMALE } else { MALE }).copied().unwrap_or(fallback);
    let father = father.or_else(|| chance.one(MALE).copied()).unwrap_or(fallback);
    let grandfather = chance.percent(35).then(|| chance.one(MALE).copied()).flatten();
    Person { given, surname, father, grandfather, female, birth: draw_birth(chance, year), document: draw_document(chance, year) }
}

/// Half of the people know the day, a fifth the month, the others the year.
fn draw_birth(chance: &mut Chance, year: i32) -> Birth {
    let known = chance.draw() % 100;
    let month = u32::try_from(chance.within(1..13)).unwrap_or(1);
    let day = u32::try_from(chance.within(1..32)).unwrap_or(1).min(month_days(year, month));
    Birth { year, month: (known < 70).then_some(month), day: (known < 50).then_some(day) }
}

fn draw_document(chance: &mut Chance, year: i32) -> Option<Document> {
    let issued = chance.within((year + 1).max(1395)..YEAR + 1);
    let (kind, number) = match chance.draw() % 100 {
        0..=29 => {
            let (month, day) = (chance.within(1..13), chance.within(1..29));
            (DocumentKind::Tazkira, format!("{issued}-{month:02}{day:02}-{}", chance.digits(5)))
        }
        30..=54 => (DocumentKind::Amayesh, format!("18{}", chance.digits(9))),
        55..=69 => (DocumentKind::Fida, format!("1{}", chance.digits(11))),
        70..=81 => (DocumentKind::Passport, format!("P0{}", chance.digits(7))),
        _ => return None,
    };
    Some(Document { kind, number })
}

/// A phone number of Iran, or of Afghanistan.
pub fn draw_phone(chance: &mut Chance) -> Phone {
    if chance.percent(70) {
        let network = chance.one(&["912", "915", "919", "935", "937", "990"]).copied().unwrap_or("915");
        return Phone { country: "98", digits: format!("{network}{}", chance.digits(7)) };
    }
    let network = chance.one(&["70", "72", "77", "78", "79"]).copied().unwrap_or("70");
    Phone { country: "93", digits: format!("{network}{}", chance.digits(7)) }
}

/// Letters of a keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// A Persian one: ی, ک and the joiner.
    Persian,
    /// An Arabic one, which many phones have: ي, ك and a space where the joiner belongs.
    Arabic,
    /// Latin.
    Latin,
}

/// Digits of a keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// ۰-۹
    Persian,
    /// ٠-٩
    Arabic,
    /// 0-9
    Latin,
}

/// How one enumerator writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hand {
    /// Letters.
    pub letters: Letters,
    /// Digits.
    pub digits: Digits,
}

impl Hand {
    /// A name.
    pub fn name(self, name: &Name) -> String {
        match self.letters {
            Letters::Persian => name.persian.to_owned(),
            Letters::Arabic => name.persian.replace('ی', "ي").replace('ک', "ك").replace('\u{200c}', " "),
            Letters::Latin => name.latin.to_owned(),
        }
    }

    /// Digits in a text.
    pub fn number(self, text: &str) -> String {
        let zero = match self.digits {
            Digits::Persian => '۰',
            Digits::Arabic => '٠',
            Digits::Latin => '0',
        };
        text.chars()
            .map(|character| match character.to_digit(10) {
                Some(digit) => char::from_u32(zero as u32 + digit).unwrap_or(character),
                None => character,
            })
            .collect()
    }

    /// A birth date in the Solar Hijri calendar, as far as it is known.
    pub fn birth(self, birth: Birth) -> String {
        let text = match (birth.month, birth.day) {
            (Some(month), Some(day)) => format!("{}/{month:02}/{day:02}", birth.year),
            (Some(month), None) => format!("{}/{month:02}", birth.year),
            _ => birth.year.to_string(),
        };
        self.number(&text)
    }

    /// A phone number, as people of that country dial it.
    pub fn phone(self, phone: &Phone) -> String {
        self.number(&format!("0{}", phone.digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_meets_one_family() {
        let (mut one, mut other) = (Families::new(7), Families::new(7));
        for _ in 0..20 {
            assert_eq!(one.meet(), other.meet());
        }
        assert_ne!(Families::new(7).meet(), Families::new(8).meet());
    }

    #[test]
    fn splitmix_gives_its_published_numbers() {
        let mut chance = Chance::new(1_234_567);
        assert_eq!([chance.draw(), chance.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn no_two_people_of_five_hundred_families_are_taken_for_one() {
        let mut families = Families::new(1);
        let mut seen = BTreeSet::new();
        let mut people = 0;
        for _ in 0..500 {
            for person in families.meet().members {
                people += 1;
                for key in keys(&person) {
                    assert!(seen.insert(key.clone()), "{key} twice");
                }
            }
        }
        assert!(people > 1_000, "families have members: {people}");
    }

    #[test]
    fn a_hand_writes_as_its_keyboard_does() {
        let name = Name { persian: "غلام‌علی کریمی", latin: "Ghulam Ali Karimi" };
        let arabic = Hand { letters: Letters::Arabic, digits: Digits::Arabic };
        assert_eq!(arabic.name(&name), "غلام علي كريمي");
        assert_eq!(arabic.birth(Birth { year: 1370, month: Some(5), day: Some(2) }), "١٣٧٠/٠٥/٠٢");
        let persian = Hand { letters: Letters::Persian, digits: Digits::Persian };
        assert_eq!(persian.birth(Birth { year: 1349, month: None, day: None }), "۱۳۴۹");
        assert_eq!(persian.phone(&Phone { country: "98", digits: "9151234567".to_owned() }), "۰۹۱۵۱۲۳۴۵۶۷");
        let latin = Hand { letters: Letters::Latin, digits: Digits::Latin };
        assert_eq!(latin.name(&name), "Ghulam Ali Karimi");
    }
}
