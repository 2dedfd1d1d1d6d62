//! What a team writes down: families, visits, sessions and surveys as the answers of the programmes' forms, `name=value` a line.

use std::fmt::Write;

use super::people::{Chance, Document, DocumentKind, Family, Hand, Letters, Person, YEAR};
use super::phone::Carrier;

/// Districts where families live, with their provinces: Razavi Khorasan and Tehran.
const RESIDENCES: [(&str, &str); 7] = [
    ("IR024", "IR024019"),
    ("IR024", "IR024026"),
    ("IR024", "IR024027"),
    ("IR028", "IR028005"),
    ("IR028", "IR028007"),
    ("IR028", "IR028011"),
    ("IR028", "IR028013"),
];
/// How many of them are Mashhad's.
const RESIDENCES_MASHHAD: usize = 3;

/// Where families go: province, district, crossing.
const DESTINATIONS: [(&str, &str, &str); 9] = [
    ("AF32", "AF3201", "islam_qala"),
    ("AF32", "AF3202", "islam_qala"),
    ("AF32", "AF3203", "islam_qala"),
    ("AF01", "AF0101", "islam_qala"),
    ("AF10", "AF1005", "islam_qala"),
    ("AF21", "AF2101", "islam_qala"),
    ("AF33", "AF3301", "farah"),
    ("AF34", "AF3401", "zaranj"),
    ("AF01", "AF0102", "air"),
];

/// Villages and quarters.
pub const VILLAGES: [(&str, &str); 8] = [
    ("جبرئیل", "Jebrail"),
    ("کهدستان", "Kahdistan"),
    ("دشت برچی", "Dasht-e Barchi"),
    ("خیرخانه", "Khair Khana"),
    ("قلعه نو", "Qala-e Naw"),
    ("سرپل", "Sar-e Pul"),
    ("چهاردهی", "Chardehi"),
    ("نوآباد", "Nawabad"),
];

/// How somebody stands to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Head,
    Spouse,
    Child,
    OtherRelative,
}

impl Relation {
    fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Spouse => "spouse",
            Self::Child => "child",
            Self::OtherRelative => "other_relative",
        }
    }
}

/// The registration of a family, and of relatives who travel with it.
pub fn registration(
    chance: &mut Chance,
    hand: Hand,
    office: (&str, &str),
    number: usize,
    family: &Family,
    relatives: &[Person],
) -> String {
    let mut lines = Lines::default();
    lines.say("office", office.0);
    lines.say("consent", "given");
    let mode = chance.one(&["written", "thumbprint", "spoken"]).copied().unwrap_or("written");
    lines.say("consent_mode", mode);
    if mode != "written" {
        lines.say("consent_witness", hand.name(&super::names::MALE[number % super::names::MALE.len()]));
    }
    lines.say("consent_share", "authorities unhcr mission");
    lines.say("case_no", format!("{}-{}-{}", office.1, hand.number(&YEAR.to_string()), hand.number(&format!("{number:04}"))));
    let mashhad = office.0 == "mashhad";
    let homes = if mashhad { &RESIDENCES[..RESIDENCES_MASHHAD] } else { &RESIDENCES[RESIDENCES_MASHHAD..] };
    if let Some((province, district)) = chance.one(homes) {
        lines.say("residence_province", province);
        lines.say("residence_district", district);
    }
    lines.say("phone", hand.phone(&family.phone));
    lines.say("language", chance.one(&["prs", "prs", "prs", "pus"]).copied().unwrap_or("prs"));
    lines.say("legal_status", chance.one(&["amayesh", "headcount", "passport_visa", "none"]).copied().unwrap_or("none"));
    lines.say("arrival_year", hand.number(&chance.within(1375..1403).to_string()));
    lines.say(
        "return_reasons",
        chance.one(&["family work", "cost", "document no_work", "school family"]).copied().unwrap_or("cost"),
    );
    if let Some((province, district, border)) = chance.one(&DESTINATIONS) {
        lines.say("destination_province", province);
        lines.say("destination_district", district);
        lines.say("border", border);
        lines.say("transport", if *border == "air" { "flight" } else { "bus" });
    }
    lines.say("destination_place", village(chance, hand));
    let members: Vec<(&Person, Relation)> = family
        .members
        .iter()
        .enumerate()
        .map(|(place, person)| {
            let relation = match place {
                0 => Relation::Head,
                1 if family.couple => Relation::Spouse,
                _ => Relation::Child,
            };
            (person, relation)
        })
        .chain(relatives.iter().map(|person| (person, Relation::OtherRelative)))
        .collect();
    lines.line(format!("repeat member={}", members.len()));
    for (place, (person, relation)) in members.iter().enumerate() {
        member(&mut lines, hand, place + 1, person, *relation);
    }
    lines.say("declared_size", hand.number(&members.len().to_string()));
    lines.say("declaration_made", "OK");
    lines.0
}

/// A visit to a family that is known: it has another phone, or moved within its province, or nothing changed.
pub fn visit(chance: &mut Chance, hand: Hand, household: &str) -> String {
    let mut lines = Lines::default();
    lines.say("household", household);
    lines.say("visit_round", "before");
    lines.say("outcome", "met");
    lines.say("consent", "given");
    if chance.percent(50) {
        lines.say("changes", "phone");
        lines.say("phone", hand.phone(&super::people::draw_phone(chance)));
    } else {
        lines.say("changes", "none");
    }
    lines.say("housing", chance.one(&["relatives", "own", "shared"]).copied().unwrap_or("own"));
    lines.say("earners", hand.number("1"));
    lines.say("income_sources", chance.one(&["daily", "trade craft", "daily remittance"]).copied().unwrap_or("daily"));
    lines.say("income", hand.number(&(chance.within(20..180) * 100).to_string()));
    lines.say("needs", chance.one(&["work", "shelter work", "documents", "health school"]).copied().unwrap_or("work"));
    lines.say("accepted", chance.one(&["yes", "partly"]).copied().unwrap_or("yes"));
    lines.say("intention", chance.one(&["stay", "undecided"]).copied().unwrap_or("stay"));
    lines.0
}

/// A session of cultural orientation, three days long, with people who were registered.
pub fn session(chance: &mut Chance, carrier: &Carrier, number: usize, participants: &[String]) -> String {
    let mut lines = Lines::default();
    lines.say("session_code", format!("CO-{}-{:02}", carrier.office.1, number + 1));
    lines.say("days", carrier.hand.number("3"));
    lines.say("place", village(chance, carrier.hand));
    lines.say("province", if carrier.office.0 == "mashhad" { "IR024" } else { "IR028" });
    lines.say("language", "prs");
    lines.say("country", "afg");
    lines.say("topics", "journey housing money work");
    lines.say("childcare", "no");
    lines.say("t_name@1", if carrier.hand.letters == Letters::Latin { "Nasima Wardak" } else { "نسیمه وردک" });
    lines.say("t_role@1", "lead");
    lines.line(format!("repeat participant={}", participants.len()));
    for (place, participant) in participants.iter().enumerate() {
        let mut say = |name: &str, value: &str| lines.line(format!("{name}@{}={value}", place + 1));
        say("p_known", "yes");
        say("p_person", participant);
        say("p_days", chance.one(&["day1 day2 day3", "day1 day2 day3", "day1 day3", "day2"]).copied().unwrap_or("day1"));
        say("p_pre", &carrier.hand.number(&chance.within(4..12).to_string()));
        say("p_post", &carrier.hand.number(&chance.within(10..21).to_string()));
    }
    lines.say("sheet_size", carrier.hand.number(&participants.len().to_string()));
    lines.say("feedback", "good");
    lines.0
}

/// A household survey whose sums agree.
pub fn survey(chance: &mut Chance, hand: Hand, number: usize) -> String {
    let mut lines = Lines::default();
    let (province, district, _) = chance.one(&DESTINATIONS).copied().unwrap_or(("AF32", "AF3201", ""));
    let settlement = village(chance, hand);
    let mut say = |name: &str, value: &str| lines.say(name, value);
    say("province", province);
    say("district", district);
    say("settlement", &settlement);
    say("household_no", &hand.number(&number.to_string()));
    say("respondent_sex", chance.one(&["female", "male"]).copied().unwrap_or("female"));
    say("consent", "given");
    let (women, men) = (chance.within(1..3), chance.within(1..3));
    let (girls, boys) = (chance.within(0..3), chance.within(1..3));
    for (name, count) in [("women", women), ("men", men), ("girls_5_17", girls), ("boys_5_17", boys)] {
        say(name, &hand.number(&count.to_string()));
    }
    say("size", &hand.number(&(women + men + girls + boys).to_string()));
    say("people_checked", "OK");
    say("head_sex", "male");
    say("disabled", &hand.number("0"));
    say("displaced", "returned_abroad");
    say("origin_province", province);
    say("months_here", &hand.number(&chance.within(1..30).to_string()));
    say("displaced_by", chance.one(&["deported", "own_will", "livelihood own_will"]).copied().unwrap_or("own_will"));
    say("intention", chance.one(&["stay", "undecided", "abroad"]).copied().unwrap_or("stay"));
    say("shelter_type", chance.one(&["rented", "hosted", "unfinished"]).copied().unwrap_or("rented"));
    say("rooms", &hand.number(&chance.within(1..4).to_string()));
    say("shelter_problems", chance.one(&["none", "cold leaks", "crowded"]).copied().unwrap_or("none"));
    say("water_source", chance.one(&["piped", "pump", "truck"]).copied().unwrap_or("pump"));
    say("water_minutes", &hand.number(&chance.within(0..60).to_string()));
    say("water_litres", &hand.number(&chance.within(40..200).to_string()));
    say("latrine", "shared");
    for food in ["staples", "pulses", "vegetables", "fruit", "meat", "dairy", "sugar", "oil"] {
        say(&format!("food_{food}"), &hand.number(&chance.within(0..8).to_string()));
    }
    for coping in ["cheaper", "borrow", "portions", "adults", "meals"] {
        say(&format!("coping_{coping}"), &hand.number(&chance.within(0..5).to_string()));
    }
    say("livelihood_coping", chance.one(&["none", "borrowed", "sold_goods borrowed"]).copied().unwrap_or("none"));
    say("ill", &hand.number("1"));
    say("treated", &hand.number("1"));
    say("pregnant", &hand.number("0"));
    say("in_school", &hand.number("1"));
    let (food, rent, health) = (chance.within(20..60) * 100, chance.within(5..30) * 100, chance.within(0..10) * 100);
    say("income_work", &hand.number(&(food + rent).to_string()));
    say("income_other", &hand.number("0"));
    say("remittances", "no");
    let spent = [("total", food + rent + health), ("food", food), ("rent", rent), ("health", health), ("debt", 0), ("other", 0)];
    for (name, amount) in spent {
        say(&format!("spent_{name}"), &hand.number(&amount.to_string()));
    }
    for (name, need) in [("first", "work"), ("second", "cash"), ("third", "winter")] {
        say(&format!("need_{name}"), need);
    }
    lines.0
}

/// A village in the enumerator's script.
pub fn village(chance: &mut Chance, hand: Hand) -> String {
    let (persian, latin) = chance.one(&VILLAGES).copied().unwrap_or(("جبرئیل", "Jebrail"));
    hand.name(&super::names::Name { persian, latin })
}

fn member(lines: &mut Lines, hand: Hand, place: usize, person: &Person, relation: Relation) {
    let mut say = |name: &str, value: &str| lines.line(format!("{name}@{place}={value}"));
    say("m_given_name", &hand.name(&person.given));
    if let Some(surname) = &person.surname {
        say("m_surname", &hand.name(surname));
    }
    say("m_father_name", &hand.name(&person.father));
    if let Some(grandfather) = &person.grandfather {
        say("m_grandfather_name", &hand.name(grandfather));
    }
    say("m_relation", relation.word());
    say("m_sex", if person.female { "female" } else { "male" });
    let precision = match (person.birth.month, person.birth.day) {
        (Some(_), Some(_)) => "day",
        (Some(_), None) => "month",
        _ => "year",
    };
    say("m_birth_precision", precision);
    say("m_birth_date", &hand.birth(person.birth));
    match &person.document {
        Some(Document { kind, number }) => {
            say("m_document_type", document_word(*kind));
            say("m_document_no", &hand.number(number));
        }
        None => say("m_document_type", "none"),
    }
    say("m_needs", "none");
}

fn document_word(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Tazkira => "e_tazkira",
        DocumentKind::Amayesh => "amayesh",
        DocumentKind::Fida => "unique_code",
        DocumentKind::Passport => "passport",
    }
}

/// Answer lines in the making.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: impl AsRef<str>) {
        writeln!(self.0, "{}", line.as_ref()).ok();
    }

    fn say(&mut self, name: &str, value: impl AsRef<str>) {
        self.line(format!("{name}={}", value.as_ref()));
    }
}
