//! The programmes that come with the server: each can be published and filled in both languages, and merges as its README says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use karwan_form::answer_file;
use karwan_form::interview::{Context, EntityOperation, EntityWrite, Interview, Lists, Mode};
use karwan_form::model::{Form, Table, Text, TextPart};
use karwan_form::xlsform;
use karwan_linkage::{Identity, link_keys};
use karwan_proto::{DeviceId, Hash, PersonId, RecordId, Role};
use karwan_record::{Author, ItemKind, Projection, Provenance, Record, Shape, Stamp, entities, project};
use karwan_server::organisation::Organisation;
use karwan_server::programmes::{self, PROGRAMMES};

/// 2026-11-25T08:00:00Z, which is 4 Azar 1405.
const NOW_MS: i64 = 1_795_593_600_000;
const PERSIAN: &str = "فارسی (fa)";
const FORM: Hash = Hash([9; 32]);

const FAMILY: &str = include_str!("programmes/family.answers.txt");
const FAMILY_IN_PERSIAN: &str = include_str!("programmes/family_in_persian.answers.txt");
const COURSE: &str = include_str!("programmes/course.answers.txt");
const SURVEY: &str = include_str!("programmes/survey.answers.txt");

const STATUS: &str = "/data/household/progress/status";
const DECISION: &str = "/data/household/grant/instalment[1]/grant_decision";
const SIZE: &str = "/data/household/members/declared_size";
const CONSENT: &str = "/data/consent_part/consent";

fn form(file: &str) -> Arc<Form> {
    let bytes = PROGRAMMES.iter().flat_map(|programme| programme.forms).find(|(name, _)| *name == file).unwrap().1;
    Arc::new(xlsform::read(bytes, file).unwrap_or_else(|faults| panic!("{file}: {faults:?}")))
}

/// Entity lists as a device knows them.
struct Known(BTreeMap<&'static str, Arc<Table>>);

impl Lists for Known {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        self.0.get(file).cloned()
    }
}

fn known(file: &'static str, columns: &[&str], rows: &[&[&str]]) -> Arc<dyn Lists> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let table = Table::new(texts(columns), rows.iter().map(|row| texts(row)).collect());
    Arc::new(Known(BTreeMap::from([(file, Arc::new(table))])))
}

fn people() -> Arc<dyn Lists> {
    known(
        "people.csv",
        &["name", "label", "given_name", "sex"],
        &[&["p1", "غلام‌رضا – محمدحسین", "غلام‌رضا", "male"], &["p2", "زهرا – علی", "زهرا", "female"]],
    )
}

fn start(form: &Arc<Form>, lists: Option<Arc<dyn Lists>>, answers: &str) -> Interview {
    let mut context = Context::at(NOW_MS, [7; 32]);
    context.lists = lists.unwrap_or(context.lists);
    let mut interview = Interview::start(form.clone(), context).unwrap();
    for line in answer_file::parse(answers).unwrap() {
        answer_file::apply_line(&mut interview, &line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    }
    interview
}

/// Ends an interview; gives what it writes to entities.
fn finalised(interview: &mut Interview) -> Vec<EntityWrite> {
    interview.finalize().unwrap_or_else(|violations| panic!("{violations:#?}"));
    interview.entity_writes()
}

fn value(interview: &Interview, place: &str) -> String {
    interview.node(place).unwrap_or_else(|| panic!("no {place}")).value.unwrap()
}

fn properties(write: &EntityWrite) -> Vec<(&str, &str)> {
    write.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn writer(who: u8, role: Role) -> (Author, Stamp) {
    let provenance =
        Provenance { device: DeviceId([who; 16]), person: PersonId([who; 16]), role, at_ms: NOW_MS, offset_minutes: 210 };
    (Author { actor: [who; 16], provenance }, Stamp { at_ms: NOW_MS, offset_minutes: 210, random: [who; 32] })
}

/// A record that several people edit, each having seen only what was there when they last met.
struct Filled {
    form: Arc<Form>,
    shape: Shape,
    record: Record,
    seen: Vec<Hash>,
}

impl Filled {
    fn new(file: &str, lists: Option<Arc<dyn Lists>>, answers: &str) -> Self {
        let form = form(file);
        let shape = Shape::of(&form);
        let mut interview = start(&form, lists, answers);
        finalised(&mut interview);
        let (author, stamp) = writer(1, Role::Enumerator);
        let (record, _) = Record::create(RecordId([1; 16]), &shape, FORM, &interview.answers(), &[], &author, &stamp).unwrap();
        let seen = record.heads();
        Self { form, shape, record, seen }
    }

    fn family() -> Self {
        Self::new("return_registration.xlsx", None, FAMILY)
    }

    fn edit(&mut self, who: u8, role: Role, change: impl FnOnce(&mut Interview)) {
        let before = self.record.answers_at(&self.shape, &self.seen);
        let context = Context::at(NOW_MS, [who; 32]);
        let mut interview = Interview::open(self.form.clone(), &before, context, Mode::Edit).unwrap();
        change(&mut interview);
        let violations = interview.violations();
        assert!(violations.is_empty(), "each edit is valid alone: {violations:#?}");
        let (author, mut stamp) = writer(who, role);
        // Each moment has its own randomness: events are told apart by it.
        stamp.random[0] = u8::try_from(self.record.len()).unwrap();
        let seen = self.seen.clone();
        self.record.edit(&self.shape, &seen, FORM, &interview.answers(), &[], &author, &stamp).unwrap().unwrap();
    }

    fn set(&mut self, who: u8, role: Role, place: &str, value: &str) {
        self.edit(who, role, |interview| interview.set(place, value).unwrap());
    }

    /// From here on everybody has seen everything.
    fn meet(&mut self) {
        self.seen = self.record.heads();
    }

    fn project(&self) -> Projection {
        project(&self.record, Some(&self.form))
    }
}

fn shown<'a>(projection: &'a Projection, reference: &str) -> Vec<&'a str> {
    projection.values.get(reference).into_iter().flatten().map(|value| value.value.as_str()).collect()
}

fn items(projection: &Projection) -> Vec<(ItemKind, &str)> {
    projection.items.iter().map(|item| (item.kind, item.reference.as_str())).collect()
}

#[test]
fn every_programme_is_published_once_and_an_unknown_one_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("organisation");
    Organisation::init(&path, "Test").unwrap();
    let organisation = Organisation::open(&path).unwrap();
    organisation.add_caseload("Mashhad").unwrap();
    for programme in PROGRAMMES {
        let added = programmes::add(&organisation, programme.name, "Mashhad").unwrap();
        assert_eq!(added.forms.len(), programme.forms.len());
        programmes::add(&organisation, programme.name, "Mashhad").unwrap();
    }
    let forms: Vec<String> = organisation.forms().unwrap().into_iter().map(|form| form.form).collect();
    assert_eq!(forms, ["return_registration", "return_visit", "orientation_session", "rapid_needs"]);
    assert!(programmes::add(&organisation, "resettlement", "Mashhad").unwrap_err().to_string().contains("resettlement"));
}

#[test]
fn everything_is_said_in_both_languages_and_in_persian_letters() {
    for (file, _) in PROGRAMMES.iter().flat_map(|programme| programme.forms) {
        let form = form(file);
        assert_eq!(form.languages, ["English (en)", PERSIAN], "{file}");
        assert!(form.warnings.is_empty(), "{file}: {:?}", form.warnings);
        for node in &form.nodes {
            let place = format!("{file} {}", node.path);
            let control = node.control.as_ref();
            let texts = [
                control.and_then(|control| control.label.as_ref()),
                control.and_then(|control| control.hint.as_ref()),
                node.bind.constraint_message.as_ref(),
                node.bind.required_message.as_ref(),
            ];
            texts.into_iter().flatten().for_each(|text| is_said_twice(text, &place));
            assert_eq!(node.bind.constraint.is_some(), node.bind.constraint_message.is_some(), "{place}");
            assert_eq!(node.bind.required.is_some(), node.bind.required_message.is_some(), "{place}");
        }
    }
}

fn is_said_twice(text: &Text, place: &str) {
    let words = |language: usize| -> String {
        let parts = text.by_language.get(language).and_then(Option::as_ref).unwrap_or_else(|| panic!("{place} lacks a language"));
        let literals =
            parts.iter().filter_map(|part| if let TextPart::Literal(words) = part { Some(words.as_str()) } else { None });
        literals.collect()
    };
    let is_arabic = |character: char| ('\u{600}'..'\u{700}').contains(&character);
    let (english, persian) = (words(0), words(1));
    assert!(!english.chars().any(is_arabic), "{place}: {english}");
    assert!(persian.chars().any(is_arabic), "{place}: {persian}");
    assert!(!persian.contains(['ي', 'ك', 'ى', '٠', '١', '٢', '?', ';', ',']), "{place}: {persian}");
}

#[test]
fn a_registration_makes_one_household_and_a_person_a_member() {
    let mut interview = start(&form("return_registration.xlsx"), None, FAMILY);
    let writes = finalised(&mut interview);
    assert_eq!(interview.instance_name(), "MHD-1405-0123 – Gholam-Reza");
    let household = value(&interview, "/data/household_id");
    assert_eq!(writes.len(), 3, "{writes:#?}");
    assert_eq!((writes[0].list.as_str(), writes[0].operation), ("households", EntityOperation::Create));
    assert_eq!(writes[0].id, household);
    assert_eq!(writes[0].label.as_deref(), Some("MHD-1405-0123 – Gholam-Reza"));
    assert_eq!(
        properties(&writes[0]),
        [
            ("case_no", "MHD-1405-0123"),
            ("destination_district", "AF3201"),
            ("destination_place", ""),
            ("destination_province", "AF32"),
            ("head_father_name", "Mohammad Hossein"),
            ("head_name", "Gholam-Reza"),
            ("legal_status", "amayesh"),
            ("phone", "0915 123 4567"),
            ("planned_date", "2026-12-20"),
            ("residence_district", "IR02401"),
            ("residence_province", "IR024"),
            ("size", "2"),
            ("status", "registered"),
        ]
    );
    assert_eq!((writes[1].list.as_str(), writes[1].operation), ("people", EntityOperation::Create));
    assert_eq!(writes[1].label.as_deref(), Some("Gholam-Reza Heydari – Mohammad Hossein"));
    assert_eq!(writes[2].label.as_deref(), Some("Zahra – Ali"));
    assert_eq!(
        properties(&writes[2]),
        [
            ("birth_year", "1371"),
            ("document_type", "none"),
            ("father_name", "Ali"),
            ("given_name", "Zahra"),
            ("household", household.as_str()),
            ("needs", "pregnant"),
            ("relation", "spouse"),
            ("sex", "female"),
            ("surname", ""),
        ]
    );
}

#[test]
fn a_registration_takes_persian_words_and_digits() {
    let mut interview = start(&form("return_registration.xlsx"), None, FAMILY_IN_PERSIAN);
    interview.set_language(PERSIAN).unwrap();
    let label = interview.node("/data/household/members/member[1]/m_father_name").unwrap().label.unwrap();
    assert_eq!(label, "نام پدر");
    interview.set(SIZE, "۵").unwrap();
    let message = interview.node(SIZE).unwrap().message.unwrap();
    assert!(message.starts_with("این عدد باید با شمار اعضای فهرست برابر باشد"), "{message}");
    interview.set(SIZE, "۱").unwrap();
    let writes = finalised(&mut interview);
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].properties["phone"], "۰۹۱۵ ۱۲۳ ۴۵۶۷", "text stays as it was typed");
    assert_eq!(writes[0].properties["size"], "1", "a number is a number");
    assert_eq!(writes[1].label.as_deref(), Some("غلام‌رضا حیدری – محمدحسین"));
    assert_eq!(writes[1].properties["birth_year"], "1365");
    assert_eq!(value(&interview, "/data/household/stay/arrival_year"), "1375");
}

#[test]
fn a_family_that_does_not_consent_is_asked_nothing_and_is_in_no_list() {
    let answers = "registration_date=2026-11-20\noffice=field\nconsent=refused\n";
    let mut interview = start(&form("return_registration.xlsx"), None, answers);
    assert_eq!(finalised(&mut interview), []);
    assert!(!interview.node("/data/household/stay/case_no").unwrap().relevant);
}

#[test]
fn a_person_registered_twice_can_be_found() {
    let keys = |answers: &str| {
        let projection = Filled::new("return_registration.xlsx", None, answers).project();
        let head = projection.identities.into_iter().find(|(_, values)| values.contains_key("document")).unwrap().1;
        link_keys(&Identity::of(&head))
    };
    let (latin, persian) = (keys(FAMILY), keys(FAMILY_IN_PERSIAN));
    assert_eq!(latin.iter().filter(|key| persian.contains(key)).count(), 1, "by document: {latin:?} {persian:?}");
    let other_keyboard = FAMILY_IN_PERSIAN.replace("حیدری", "حيدري").replace("۱۳۶۵/۰۴", "1365-4");
    assert_eq!(keys(&other_keyboard), persian, "by document and by name");
    assert_eq!(persian.len(), 2, "{persian:?}");
}

#[test]
fn a_withdrawal_beats_a_booking_made_at_the_same_time() {
    let mut filled = Filled::family();
    filled.set(2, Role::Enumerator, STATUS, "screened");
    filled.meet();
    filled.set(2, Role::Enumerator, STATUS, "booked");
    filled.set(3, Role::Enumerator, STATUS, "withdrawn");
    let projection = filled.project();
    assert_eq!(shown(&projection, STATUS), ["withdrawn"]);
    assert_eq!(items(&projection), [], "the table decides, not a person");
    let household = projection.entity_writes.iter().find(|write| write.list == "households").unwrap();
    assert_eq!(household.properties["status"], "withdrawn");
}

#[test]
fn a_departure_and_a_withdrawal_at_the_same_time_are_for_a_person_to_decide() {
    let mut filled = Filled::family();
    for state in ["screened", "booked"] {
        filled.set(2, Role::Enumerator, STATUS, state);
        filled.meet();
    }
    filled.set(2, Role::Enumerator, STATUS, "departed");
    filled.set(3, Role::Enumerator, STATUS, "withdrawn");
    assert_eq!(items(&filled.project()), [(ItemKind::Conflict, STATUS)]);
}

#[test]
fn a_case_is_not_booked_before_it_was_screened_nor_ended_by_an_enumerator() {
    for (role, state, expected) in [
        (Role::Supervisor, "booked", "registered"),
        (Role::Enumerator, "ineligible", "registered"),
        (Role::Supervisor, "ineligible", "ineligible"),
    ] {
        let mut filled = Filled::family();
        filled.set(2, role, STATUS, state);
        assert_eq!(shown(&filled.project(), STATUS), [expected], "{state}");
    }
}

#[test]
fn two_approvals_of_one_instalment_are_one_conflict_and_payable_once() {
    let mut filled = Filled::family();
    filled.set(2, Role::Enumerator, DECISION, "approved");
    assert_eq!(shown(&filled.project(), DECISION), ["requested"], "an enumerator approves nothing");
    assert_eq!(filled.project().payable, []);
    let mut filled = Filled::family();
    filled.set(2, Role::Supervisor, DECISION, "approved");
    filled.set(3, Role::Supervisor, DECISION, "approved");
    let projection = filled.project();
    assert_eq!(items(&projection), [(ItemKind::Conflict, DECISION)]);
    let payable: Vec<(&str, &str)> =
        projection.payable.iter().map(|payable| (payable.reference.as_str(), payable.state.as_str())).collect();
    assert_eq!(payable, [(DECISION, "approved")]);
}

#[test]
fn two_teams_that_each_add_a_member_break_the_count_of_the_household() {
    let mut filled = Filled::family();
    for (who, name) in [(2, "Hasan"), (3, "Maryam")] {
        let answers = format!(
            "m_given_name@3={name}\nm_father_name@3=Gholam-Reza\nm_relation@3=child\nm_sex@3=male\nm_birth_precision@3=year\n\
             m_birth_date@3=1404\nm_document_type@3=none\nm_needs@3=none\ndeclared_size=3\n"
        );
        filled.edit(who, Role::Enumerator, |interview| {
            answer_file::apply(interview, &answer_file::parse(&answers).unwrap()).unwrap();
        });
    }
    let projection = filled.project();
    assert_eq!(items(&projection), [(ItemKind::Invalid, SIZE)]);
    assert!(projection.items[0].message.starts_with("This must equal the number of members"), "{:?}", projection.items);
    let people = projection.entity_writes.iter().filter(|write| write.list == "people");
    assert_eq!(people.count(), 4, "both children are kept");
}

#[test]
fn reasons_that_two_teams_heard_all_stay() {
    const REASONS: &str = "/data/household/plan/return_reasons";
    let mut filled = Filled::family();
    filled.set(2, Role::Enumerator, REASONS, "family work");
    filled.set(3, Role::Enumerator, REASONS, "family cost");
    let projection = filled.project();
    assert_eq!(shown(&projection, REASONS), ["family work cost"]);
    assert_eq!(items(&projection), []);
}

#[test]
fn withdrawn_consent_takes_the_household_out_of_every_list() {
    let mut filled = Filled::family();
    filled.set(2, Role::Enumerator, CONSENT, "withdrawn");
    filled.set(3, Role::Enumerator, "/data/household/stay/phone", "0935 765 4321");
    let projection = filled.project();
    assert_eq!(shown(&projection, CONSENT), ["withdrawn"]);
    assert!(projection.consent_withdrawn);
    assert_eq!(projection.entity_writes, []);
}

#[test]
fn a_visit_shows_what_is_known_and_updates_only_what_changed() {
    let registration = Filled::family().project();
    let household = registration.entity_writes.iter().find(|write| write.list == "households").unwrap();
    let id = household.id.as_str();
    let lists = known(
        "households.csv",
        &["name", "case_no", "head_name", "head_father_name", "size", "phone", "destination_province", "status"],
        &[&[id, "MHD-1405-0123", "Gholam-Reza", "Mohammad Hossein", "2", "0915 123 4567", "AF32", "arrived"]],
    );
    let answers = format!(
        "household={id}\nvisit_date=2026-11-24\nvisit_round=arrival\noutcome=met\nconsent=given\nchanges=none phone||phone\n\
         phone=۰۷||۰۷۰۰ ۱۲۳ ۴۵۶\nhousing=rented\nrent=۴۰۰۰\nearners=۳||۱\nincome_sources=daily\nincome=۱۲۰۰۰\n\
         needs=work health\ngrant_used_for=business\naccepted=yes\nintention=stay\n"
    );
    let form = form("return_visit.xlsx");
    let mut interview = start(&form, Some(lists), &answers);
    interview.set_language(PERSIAN).unwrap();
    let told = interview.node("/data/known").unwrap().label.unwrap();
    for part in ["Gholam-Reza", "Mohammad Hossein", "MHD-1405-0123", "0915 123 4567", "هرات"] {
        assert!(told.contains(part), "{told}");
    }
    let writes = finalised(&mut interview);
    assert_eq!(writes.len(), 1);
    assert_eq!((writes[0].id.as_str(), writes[0].operation), (id, EntityOperation::Update));
    let written = [("housing", "rented"), ("income", "12000"), ("intention", "stay"), ("needs", "work health")];
    assert_eq!(properties(&writes[0]), [&written[..], &[("phone", "۰۷۰۰ ۱۲۳ ۴۵۶")]].concat());

    let (author, stamp) = writer(2, Role::Enumerator);
    let note = entities::note("households", id, std::slice::from_ref(household));
    let shape = Shape::of(&form);
    let (record, _) = Record::create(RecordId([2; 16]), &shape, FORM, &interview.answers(), &[note], &author, &stamp).unwrap();
    let visit = project(&record, Some(&form)).entity_writes;
    // The registration is corrected after the visit, which had seen its phone and stands.
    let mut corrected = household.clone();
    corrected.properties.insert("phone".to_owned(), "0935 765 4321".to_owned());
    corrected.properties.insert("case_no".to_owned(), "MHD-1405-0321".to_owned());
    let state = entities::fold("households", id, &[corrected, visit[0].clone()]);
    let now = |property: &str| state.properties[property].iter().map(|value| value.value.as_str()).collect::<Vec<_>>();
    assert_eq!(now("phone"), ["۰۷۰۰ ۱۲۳ ۴۵۶"]);
    assert_eq!(now("case_no"), ["MHD-1405-0321"]);
    assert_eq!(now("housing"), ["rented"]);
    assert_eq!(state.items, []);
}

#[test]
fn a_visit_that_met_nobody_changes_nothing() {
    let lists = known("households.csv", &["name", "case_no"], &[&["h1", "MHD-1"]]);
    let answers = "household=h1\nvisit_date=2026-11-24\nvisit_round=arrival\noutcome=absent\n";
    assert_eq!(finalised(&mut start(&form("return_visit.xlsx"), Some(lists), answers)), []);
}

#[test]
fn a_session_counts_attendance_and_scores_and_writes_to_people() {
    let mut interview = start(&form("orientation_session.xlsx"), Some(people()), COURSE);
    for (place, days) in [("/data/participant[1]/p_days", "day1 day2 day3"), ("/data/participant[3]/p_days", "day2 day3")] {
        interview.set(place, days).unwrap();
    }
    let offered = interview.node("/data/participant[1]/p_days").unwrap().choices.unwrap().len();
    assert_eq!(offered, 3, "a session of three days has three days to mark");
    let writes = finalised(&mut interview);
    for (name, expected) in [
        ("women", "2"),
        ("person_days", "6"),
        ("attendance_percent", "67"),
        ("pre_average", "8"),
        ("post_average", "13"),
        ("certificates", "1"),
    ] {
        assert_eq!(value(&interview, &format!("/data/totals/{name}")), expected, "{name}");
    }
    let told: Vec<(EntityOperation, Option<&str>, &str, &str)> = writes
        .iter()
        .map(|write| {
            let of = |name: &str| write.properties[name].as_str();
            (write.operation, write.label.as_deref(), of("orientation_days"), of("orientation_certificate"))
        })
        .collect();
    assert_eq!(
        told,
        [
            (EntityOperation::Update, None, "3", "yes"),
            (EntityOperation::Update, None, "1", "no"),
            (EntityOperation::Create, Some("نادیه – کریم"), "2", "no"),
        ]
    );
    assert_eq!((writes[0].id.as_str(), writes[1].id.as_str()), ("p1", "p2"));
}

#[test]
fn attendance_marked_by_two_trainers_unites_and_a_score_given_twice_is_a_conflict() {
    let mut filled = Filled::new("orientation_session.xlsx", Some(people()), COURSE);
    for (who, days, score) in [(2, "day1 day3", "16"), (3, "day1 day2", "17")] {
        filled.edit(who, Role::Enumerator, |interview| {
            interview.set("/data/participant[1]/p_days", days).unwrap();
            interview.set("/data/participant[1]/p_post", score).unwrap();
        });
    }
    let projection = filled.project();
    let attendance: Vec<Vec<&str>> = projection
        .values
        .iter()
        .filter(|(reference, _)| reference.ends_with("/p_days"))
        .map(|(_, values)| values.iter().map(|value| value.value.as_str()).collect())
        .collect();
    assert!(attendance.contains(&vec!["day1 day2 day3"]), "{attendance:?}");
    assert_eq!(projection.items.len(), 1, "{:?}", projection.items);
    assert_eq!(projection.items[0].kind, ItemKind::Conflict);
    assert!(projection.items[0].reference.ends_with("/p_post"), "{:?}", projection.items);
}

#[test]
fn a_survey_scores_food_coping_and_severity() {
    let mut interview = start(&form("rapid_needs.xlsx"), None, SURVEY);
    assert_eq!(finalised(&mut interview), []);
    for (place, expected) in [
        // 7 x 2 + 2 x 3 + 3 + 0 + 1 x 4 + 1 x 4 + 5 x 0.5 + 6 x 0.5
        ("food/food_score", "36.5"),
        ("food/food_class", "acceptable"),
        // 5 + 2 x 2 + 4 + 1 x 3 + 3
        ("coping/coping_index", "19"),
        ("people/dependency", "1"),
        ("shelter/people_per_room", "3"),
        ("water_part/litres_per_person", "13.5"),
        ("money/remittance_cost_percent", "5"),
        ("money/income_total", "10000"),
        ("money/food_share", "60"),
        // Coping, water, somebody ill and not treated.
        ("priorities/severity", "3"),
    ] {
        assert_eq!(value(&interview, &format!("/data/survey/{place}")), expected, "{place}");
    }
}

#[test]
fn parts_of_a_survey_that_no_longer_add_up_are_told_after_a_merge() {
    let mut filled = Filled::new("rapid_needs.xlsx", None, SURVEY);
    for (who, group, number) in [(2, "girls_0_4", "2"), (3, "boys_0_4", "1")] {
        filled.edit(who, Role::Enumerator, |interview| {
            interview.set(&format!("/data/survey/people/{group}"), number).unwrap();
            interview.set("/data/survey/people/size", "7").unwrap();
        });
    }
    assert_eq!(items(&filled.project()), [(ItemKind::Invalid, "/data/survey/people/people_checked")]);
}
