//! What happens, in order: an organisation is made, two teams travel twice, disagree, register some people twice and lose the server
//! in the middle of a sync; then everyone is home and everything is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use karwan_client::RecordId;
use serde_json::Value;

use super::homecoming::{self, Homecoming, KillAt};
use super::ledger::{Ledger, balance};
use super::people::{Chance, Digits, Families, Family, Hand, Letters, Person, draw_phone};
use super::phone::{Carrier, OFFSET_MINUTES, Phone};
use super::progress::{Bar, Stage};
use super::told::{Access, Report, Technical};
use super::{HOUSEHOLDS, PEOPLE, answers};
use crate::control::ask;
use crate::organisation::Organisation;
use crate::problem::Problem;
use crate::process::{Ports, Server};
use crate::query::{Query, RecordsQuery};
use crate::request::Request;

/// Both teams work on one caseload.
pub const CASELOAD: &str = "return";
/// The programmes whose forms the teams carry.
const PROGRAMMES: [&str; 3] = ["voluntary_return", "cultural_orientation", "rapid_needs"];
/// The supervisor who decides.
const SUPERVISOR: &str = "sara";
/// Everyone meets the same families in every run.
const SEED: u64 = 1405;
/// How long an invitation lives.
const INVITATION_MS: i64 = 3_600_000;

/// Team by team: who carries which phone.
const TEAMS: [(&str, std::ops::Range<usize>); 2] = [("Mashhad", 0..3), ("Tehran", 3..5)];
const CARRIERS: [Carrier; 5] = [
    carrier("mashhad-1", "Laila Rahimi", Letters::Persian, Digits::Persian, MASHHAD),
    carrier("mashhad-2", "عبدالکریم نوری", Letters::Arabic, Digits::Arabic, MASHHAD),
    carrier("mashhad-3", "Reza Amiri", Letters::Latin, Digits::Latin, MASHHAD),
    carrier("tehran-1", "Karim Yusufi", Letters::Persian, Digits::Latin, TEHRAN),
    carrier("tehran-2", "مریم حیدری", Letters::Arabic, Digits::Persian, TEHRAN),
];
const MASHHAD: (&str, &str) = ("mashhad", "MHD");
const TEHRAN: (&str, &str) = ("tehran", "THR");

const fn carrier(
    phone: &'static str,
    person: &'static str,
    letters: Letters,
    digits: Digits,
    office: (&'static str, &'static str),
) -> Carrier {
    Carrier { phone, person, hand: Hand { letters, digits }, office }
}

/// The team of a phone.
pub fn team_of(phone: &str) -> &'static str {
    let place = CARRIERS.iter().position(|carrier| carrier.phone == phone);
    TEAMS.iter().find(|(_, members)| place.is_some_and(|place| members.contains(&place))).map_or("", |(team, _)| team)
}

/// Interviews of each phone, by journey: 300 with five phones.
const FIRST_REGISTRATIONS: usize = 32;
const FIRST_SESSIONS: usize = 2;
const FIRST_SURVEYS: usize = 8;
const SECOND_VISITS: usize = 8;
const SECOND_REGISTRATIONS: usize = 9;
const SECOND_SURVEYS: usize = 1;
/// People at a session.
const PARTICIPANTS: usize = 6;
/// Records that two phones edit at once.
pub const EDITED_TWICE: usize = 10;
/// In so many of them both answer the same question.
pub const SAME_QUESTION: usize = 3;
/// Which of a phone's families withdraws while its travel is booked, from which on they are visited, and met again.
const TORN: usize = 7;
const FIRST_VISITED: usize = 8;
const FIRST_AGAIN: usize = 20;
/// People whom a second phone registers again, by the document or by name, father's name and birth year: from which phone's families, and
/// by which phone. What is compared by name is written in one script.
pub const AGAIN_BY_DOCUMENT: [(usize, usize); 3] = [(0, 3), (1, 4), (2, 4)];
/// The same by name.
pub const AGAIN_BY_NAME: [(usize, usize); 3] = [(0, 4), (1, 3), (3, 1)];

const REGISTRATION: &str = "return_registration";
const VISIT: &str = "return_visit";
const SESSION: &str = "orientation_session";
const SURVEY: &str = "rapid_needs";

/// The phones' clocks follow the machine's.
const NOW: i64 = 0;
/// How long the server may take to read out what has arrived.
const PROJECTION_WAIT: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One thing that one phone does.
enum Step {
    Interview {
        form: &'static str,
        answers: String,
    },
    /// A session with people whom the phone has registered by then.
    Session(usize),
    Edit {
        record: RecordId,
        question: &'static str,
        value: String,
    },
}

/// One thing with its time, in milliseconds since 1970.
struct Timed(i64, Step);

/// Everyone who takes part.
pub struct Story {
    stage: Stage,
    began: Instant,
    midnight_ms: i64,
    organisation: PathBuf,
    phones_folder: PathBuf,
    server: Arc<Mutex<Server>>,
    phones: Vec<Phone>,
    families: Families,
    chance: Chance,
    /// The families that each phone registered on the first journey, in order.
    met: Vec<Vec<Family>>,
    password: String,
    stopping: Arc<AtomicBool>,
    /// What each phone registered, in order.
    registered: Vec<Vec<RecordId>>,
    /// The record whose disagreement is told.
    told: String,
    /// The record of the family that withdraws while its travel is booked.
    torn: String,
}

impl Story {
    /// Makes the organisation, starts its server and enrols the phones.
    pub async fn begin(folder: &Path, stopping: Arc<AtomicBool>) -> Result<Self, Problem> {
        let (stage, began) = (Stage::on_stderr(), Instant::now());
        let organisation = folder.join("organisation");
        let phones_folder = folder.join("phones");
        std::fs::create_dir_all(&phones_folder)?;
        stage.say(&format!("An organisation in {}", organisation.display()));
        Organisation::init(&organisation, "Return programme")?;
        ask(&organisation, &Request::AddCaseload { name: CASELOAD.to_owned() })?;
        for programme in PROGRAMMES {
            ask(&organisation, &Request::AddProgramme { name: programme.to_owned(), caseload: CASELOAD.to_owned() })?;
        }
        let password = crate::organisation::password();
        let supervisor = Request::AddPerson {
            name: SUPERVISOR.to_owned(),
            role: "supervisor".to_owned(),
            caseloads: vec![CASELOAD.to_owned()],
            password: Some(password.clone()),
        };
        ask(&organisation, &supervisor)?;
        let ports = Ports::choose()?;
        for (wanted, instead) in [(ports.sync_taken, ports.sync), (ports.console_taken, ports.console)] {
            if let Some(wanted) = wanted {
                stage.say(&format!("Port {wanted} is taken: {instead} instead"));
            }
        }
        let server = Server::start(&organisation, &folder.join("server.log"), ports)?;
        stage.say(&format!("A server: devices on 127.0.0.1:{}, the console on {}", ports.sync, server.console()));
        let offset_ms = i64::from(OFFSET_MINUTES) * 60_000;
        let day_ms = 86_400_000;
        let midnight_ms = (crate::clock::now_ms() + offset_ms).div_euclid(day_ms) * day_ms - offset_ms;
        let mut story = Self {
            stage,
            began,
            midnight_ms,
            organisation,
            phones_folder,
            server: Arc::new(Mutex::new(server)),
            phones: Vec::new(),
            families: Families::new(SEED),
            chance: Chance::new(SEED),
            met: vec![Vec::new(); CARRIERS.len()],
            password,
            stopping,
            registered: vec![Vec::new(); CARRIERS.len()],
            told: String::new(),
            torn: String::new(),
        };
        for carrier in CARRIERS {
            let invitation = story.invitation()?;
            story.phones.push(Phone::enrol(carrier, &story.phones_folder, invitation).await?);
        }
        story.stage.say("Five phones enrolled: Mashhad 3, Tehran 2");
        Ok(story)
    }

    fn invitation(&self) -> Result<String, Problem> {
        let request = Request::Invite {
            role: "enumerator".to_owned(),
            caseloads: vec![CASELOAD.to_owned()],
            life_ms: INVITATION_MS,
            addresses: Vec::new(),
        };
        let answer = ask(&self.organisation, &request)?;
        Ok(answer.get("invitation").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Both journeys and both homecomings.
    pub async fn play(&mut self) -> Result<Report, Problem> {
        let mut homecomings = Vec::new();
        // The forms come with the first sync.
        self.everyone(KillAt::Never, NOW).await?;
        self.stage.say("First journey: four days ago, without a network");
        let first = self.first_journey();
        self.travel(first).await?;
        let (torn, friday) = (self.record(0, TORN)?, self.at(-3, 18 * 60));
        if let Some(phone) = self.phones.first_mut() {
            phone.clock.set(friday);
            phone.edit(torn, "status", "screened")?;
        }
        self.stage.say("Home, team after team, and once more so that everyone has everything");
        let evening = self.at(-3, 19 * 60);
        for _ in 0..2 {
            homecomings.push(self.everyone(KillAt::Never, evening).await?);
        }
        self.stage.say("Second journey: visits, corrections, second registrations; nobody sees what the others write");
        let second = self.second_journey()?;
        self.travel(second).await?;
        self.stage.say("Home again; the server is killed while a team syncs");
        homecomings.push(self.everyone(KillAt::FirstReceipt, NOW).await?);
        homecomings.push(self.everyone(KillAt::Never, NOW).await?);
        let idle = self.everyone(KillAt::Never, NOW).await?;
        self.count(&homecomings, &idle)
    }

    /// Ends the server.
    pub async fn end(self) {
        let server = self.server.clone();
        tokio::task::spawn_blocking(move || server.lock().unwrap_or_else(PoisonError::into_inner).end()).await.ok();
    }

    /// A time of day, so many days from today, by the phones' clocks.
    fn at(&self, day: i64, minute: i64) -> i64 {
        self.midnight_ms + day * 86_400_000 + minute * 60_000
    }

    /// Things with their times over two days, from half past eight to five, no two phones at the same minutes.
    fn timed(&mut self, first_day: i64, steps: Vec<Step>) -> Vec<Timed> {
        let half = steps.len().div_ceil(2).max(1) as i64;
        let between_ms = 8 * 3_600_000 / half;
        let mut timed = Vec::new();
        for (place, step) in (0..).zip(steps) {
            let (day, of_day) = (first_day + place / half, place % half);
            let late_ms = i64::from(self.chance.within(0..i32::try_from(between_ms * 4 / 5).unwrap_or(i32::MAX)));
            timed.push(Timed(self.at(day, 8 * 60 + 30) + of_day * between_ms + late_ms, step));
        }
        timed
    }

    fn first_journey(&mut self) -> Vec<Vec<Timed>> {
        let mut journeys = Vec::new();
        for (place, carrier) in CARRIERS.iter().enumerate() {
            let mut steps = Vec::new();
            for number in 0..FIRST_REGISTRATIONS {
                let family = self.families.meet();
                steps.push(self.registration(place, number, &family, &[]));
                if let Some(met) = self.met.get_mut(place) {
                    met.push(family);
                }
            }
            for number in 0..FIRST_SURVEYS {
                let answers = answers::survey(&mut self.chance, carrier.hand, place * 100 + number + 1);
                steps.push(Step::Interview { form: SURVEY, answers });
            }
            steps.extend((0..FIRST_SESSIONS).map(Step::Session));
            journeys.push(self.timed(-4, steps));
        }
        journeys
    }

    fn registration(&mut self, phone: usize, number: usize, family: &Family, relatives: &[Person]) -> Step {
        let carrier = &CARRIERS[phone % CARRIERS.len()];
        let number = (phone + 1) * 1_000 + number + 1;
        let answers = answers::registration(&mut self.chance, carrier.hand, carrier.office, number, family, relatives);
        Step::Interview { form: REGISTRATION, answers }
    }

    /// The record that a phone made of one of its families on the first journey.
    fn record(&self, phone: usize, number: usize) -> Result<RecordId, Problem> {
        let record = self.registered.get(phone).and_then(|records| records.get(number));
        record.copied().ok_or_else(|| Problem::new(Problem::FAILED, "story", "a family of the story is missing", "Report it."))
    }

    fn second_journey(&mut self) -> Result<Vec<Vec<Timed>>, Problem> {
        let mut steps: Vec<Vec<Step>> = CARRIERS.iter().map(|_| Vec::new()).collect();
        let mut give = |phone: usize, step: Step| {
            if let Some(of_phone) = steps.get_mut(phone) {
                of_phone.push(step);
            }
        };
        // Ten records, each edited by one phone of either team.
        for number in 0..EDITED_TWICE {
            let record = self.record(number % CARRIERS.len(), number / CARRIERS.len())?;
            let (one, other) = Self::pair(number);
            let (first, second) = if number < SAME_QUESTION { ("phone", "phone") } else { ("phone_other", "destination_place") };
            let of_first = CARRIERS[one].hand.phone(&draw_phone(&mut self.chance));
            let of_second = match second {
                "phone" => CARRIERS[other].hand.phone(&draw_phone(&mut self.chance)),
                _ => answers::village(&mut self.chance, CARRIERS[other].hand),
            };
            give(one, Step::Edit { record, question: first, value: of_first });
            give(other, Step::Edit { record, question: second, value: of_second });
        }
        // One family withdraws in Mashhad while Tehran books its travel.
        let torn = self.record(0, TORN)?;
        let (one, other) = Self::pair(0);
        give(one, Step::Edit { record: torn, question: "status", value: "withdrawn".to_owned() });
        give(other, Step::Edit { record: torn, question: "status", value: "booked".to_owned() });
        self.told = self.record(0, 0)?.to_string();
        self.torn = torn.to_string();
        // Visits to households that the other team registered.
        for (place, carrier) in CARRIERS.iter().enumerate() {
            for number in 0..SECOND_VISITS {
                let (host, family) = Self::visited(place, number);
                let household = self.household(host, family)?;
                let answers = answers::visit(&mut self.chance, carrier.hand, &household);
                give(place, Step::Interview { form: VISIT, answers });
            }
        }
        // New families; some of their relatives were registered by the other team already.
        let mut again = self.again();
        for (place, carrier) in CARRIERS.iter().enumerate() {
            for number in 0..SECOND_REGISTRATIONS {
                let family = self.families.meet();
                let relatives = if number == 0 { again.remove(&place).unwrap_or_default() } else { Vec::new() };
                let step = self.registration(place, FIRST_REGISTRATIONS + number, &family, &relatives);
                give(place, step);
            }
            for number in 0..SECOND_SURVEYS {
                let answers = answers::survey(&mut self.chance, carrier.hand, place * 100 + FIRST_SURVEYS + number + 1);
                give(place, Step::Interview { form: SURVEY, answers });
            }
        }
        // Mashhad corrects on its first morning, Tehran on its second evening.
        for of_phone in steps.get_mut(TEAMS[1].1.clone()).into_iter().flatten() {
            of_phone.reverse();
        }
        Ok(steps.into_iter().map(|steps| self.timed(-2, steps)).collect())
    }

    /// One phone of each team.
    fn pair(number: usize) -> (usize, usize) {
        let [(_, one), (_, other)] = TEAMS;
        (one.start + number % one.len(), other.start + number % other.len())
    }

    /// Whose family a phone visits: one of the other team's, and nobody visits the same.
    fn visited(place: usize, number: usize) -> (usize, usize) {
        let [(_, mashhad), (_, tehran)] = TEAMS;
        let (own, other) = if mashhad.contains(&place) { (mashhad, tehran) } else { (tehran, mashhad) };
        let visit = (place - own.start) * SECOND_VISITS + number;
        (other.start + visit % other.len(), FIRST_VISITED + visit / other.len())
    }

    /// The household that a phone registered, as another phone finds it.
    fn household(&self, phone: usize, number: usize) -> Result<String, Problem> {
        let record = self.record(phone, number)?;
        let found = self.phones.get(phone).and_then(|phone| phone.ledger.families_of(record).into_iter().next());
        found.ok_or_else(|| Problem::new(Problem::FAILED, "story", "a household of the story is missing", "Report it."))
    }

    /// People whom a second phone meets again: with the document that the first one noted, or without any.
    fn again(&self) -> BTreeMap<usize, Vec<Person>> {
        let mut again: BTreeMap<usize, Vec<Person>> = BTreeMap::new();
        let later = |phone: usize| self.met.get(phone).into_iter().flatten().skip(FIRST_AGAIN).flat_map(|family| &family.members);
        for (from, to) in AGAIN_BY_DOCUMENT {
            let person = later(from).find(|person| person.document.is_some());
            again.entry(to).or_default().extend(person.cloned());
        }
        for (from, to) in AGAIN_BY_NAME {
            let person = later(from).find(|person| person.document.is_none());
            again.entry(to).or_default().extend(person.cloned());
        }
        again
    }

    /// Every phone walks its days by itself.
    async fn travel(&mut self, journeys: Vec<Vec<Timed>>) -> Result<(), Problem> {
        let mut under_way = Vec::new();
        for (phone, steps) in std::mem::take(&mut self.phones).into_iter().zip(journeys) {
            let bar = self.stage.bar(phone.carrier.phone, steps.len() as u64);
            let stopping = self.stopping.clone();
            under_way.push(tokio::task::spawn_blocking(move || walk(phone, steps, &bar, &stopping)));
        }
        for (place, walked) in under_way.into_iter().enumerate() {
            let (phone, made) = walked.await.map_err(|_| {
                Problem::new(Problem::FAILED, "panicked", "a phone failed in the middle", "Report it with what was printed.")
            })??;
            self.phones.push(phone);
            if let Some(registered) = self.registered.get_mut(place) {
                registered.extend(made);
            }
        }
        Ok(())
    }

    /// All phones come home, one team after the other.
    async fn everyone(&mut self, kill: KillAt, at_ms: i64) -> Result<Homecoming, Problem> {
        let (mut home, mut kill) = (Homecoming::default(), kill);
        for (team, members) in TEAMS {
            let mut devices = Vec::new();
            for phone in self.phones.get(members).into_iter().flatten() {
                phone.clock.set(at_ms);
                devices.push((phone.device.clone(), self.stage.bar(phone.carrier.phone, 1)));
            }
            let came = homecoming::sync(devices, &self.server, kill).await?;
            if kill != KillAt::Never && came.interrupted > 0 {
                self.stage.say(&format!(
                    "  The server was killed while {team} synced; {} syncs broke off and were repeated",
                    came.interrupted
                ));
            }
            // A team that was through before the server died proves nothing: the next one loses it.
            kill = if kill == KillAt::Never || came.interrupted > 0 { KillAt::Never } else { KillAt::FirstBytes };
            home.join(came);
        }
        Ok(home)
    }

    /// Counts what the phones hold for safe, and what the server has.
    fn count(&mut self, homecomings: &[Homecoming], idle: &Homecoming) -> Result<Report, Problem> {
        let ledgers: Vec<&Ledger> = self.phones.iter().map(|phone| &phone.ledger).collect();
        let collected: usize = ledgers.iter().map(|ledger| ledger.count()).sum();
        let until = Instant::now() + PROJECTION_WAIT;
        let interviews = loop {
            let interviews = self.records("interview", None)?;
            if interviews.len() >= collected || Instant::now() > until {
                break interviews;
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        let households = self.records("entity", Some(HOUSEHOLDS))?;
        let people = self.records("entity", Some(PEOPLE))?;
        let mut shown = BTreeMap::new();
        for record in &interviews {
            shown.insert(record.clone(), self.show(record)?);
        }
        let balance = balance(&ledgers, &interviews, &households, &people, &shown);
        // What a phone shows must be what the server has.
        let mut missing_on_phones = 0;
        for phone in &self.phones {
            let here: BTreeSet<String> = phone.interviews()?.into_iter().collect();
            missing_on_phones += interviews.difference(&here).count();
            for (list, there) in [(HOUSEHOLDS, &households), (PEOPLE, &people)] {
                let here: BTreeSet<String> = phone.entities(list)?.into_iter().collect();
                missing_on_phones += there.difference(&here).count();
            }
        }
        let items = self.ask(&Request::Query(Query::Items))?;
        let items = items.as_array().cloned().unwrap_or_default();
        let question = self.words_of(&self.told, "phone")?;
        let torn = shown.get(&self.torn).cloned().unwrap_or_default();
        let seconds = self.began.elapsed().as_secs_f64();
        let technical = Technical::of(homecomings, idle, seconds);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let access = Access {
            console: server.console(),
            name: SUPERVISOR.to_owned(),
            password: self.password.clone(),
            program: std::env::current_exe()?,
            organisation: self.organisation.clone(),
            phone: self.phones.first().map(|phone| phone.folder.clone()).unwrap_or_default(),
            ports: server.ports,
        };
        drop(server);
        // Commands may use the phones' folders from here on.
        for phone in self.phones.drain(..) {
            phone.device.close()?;
        }
        Ok(Report::new(balance, missing_on_phones, &items, (&self.told, &question), &torn, technical, access))
    }

    fn ask(&self, request: &Request) -> Result<Value, Problem> {
        tokio::task::block_in_place(|| ask(&self.organisation, request))
    }

    /// Identifiers of the server's records of a kind, of one entity list where one is named.
    fn records(&self, kind: &str, list: Option<&str>) -> Result<BTreeSet<String>, Problem> {
        let query = RecordsQuery { kind: Some(kind.to_owned()), ..RecordsQuery::default() };
        let rows = self.ask(&Request::Query(Query::Records(query)))?;
        let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        let rows = rows.iter().filter(|row| list.is_none() || text(row, "list").as_deref() == list);
        Ok(rows.filter_map(|row| text(row, "record")).collect())
    }

    fn show(&self, record: &str) -> Result<Value, Problem> {
        self.ask(&Request::Query(Query::Show { record: record.to_owned() }))
    }

    /// A question as the form words it.
    fn words_of(&self, record: &str, question: &str) -> Result<String, Problem> {
        let (Some(phone), Ok(record)) = (self.phones.first(), record.parse()) else { return Ok(question.to_owned()) };
        phone.words_of(record, question)
    }
}

/// One phone's days; gives the registrations that it made, in order.
fn walk(mut phone: Phone, steps: Vec<Timed>, bar: &Bar, stopping: &AtomicBool) -> Result<(Phone, Vec<RecordId>), Problem> {
    let mut registered = Vec::new();
    let began = Instant::now();
    let count = steps.len();
    for Timed(at_ms, step) in steps {
        if stopping.load(Ordering::SeqCst) {
            break;
        }
        phone.clock.set(at_ms);
        match step {
            Step::Interview { form, answers } => {
                let record = phone.interview(form, &answers)?;
                if form == REGISTRATION {
                    registered.push(record);
                }
            }
            Step::Session(number) => {
                let people = phone.entities(PEOPLE)?;
                let participants: Vec<String> = people.into_iter().skip(number * PARTICIPANTS).take(PARTICIPANTS).collect();
                let mut chance = Chance::new(SEED + number as u64);
                let answers = answers::session(&mut chance, &phone.carrier, number, &participants);
                phone.interview(SESSION, &answers)?;
            }
            Step::Edit { record, question, value } => phone.edit(record, question, &value)?,
        }
        bar.step();
    }
    bar.done(&format!("{count} interviews and edits, {} ms", began.elapsed().as_millis()));
    Ok((phone, registered))
}
