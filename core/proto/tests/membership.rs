//! The membership log: who may decide what, and what a decision leaves standing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_proto::codec::Extra;
use karwan_proto::error::{MembershipError, NotEntitled};
use karwan_proto::invitation::secret_hash;
use karwan_proto::keys::Namespace;
use karwan_proto::membership::{Act, Adopted, Cut, Membership, MembershipEntry, Role, SignedEntry, Subject};
use karwan_proto::{CaseloadId, Hash, PersonId, RecordId, SigningKey};

const CASELOAD: CaseloadId = CaseloadId([7; 16]);
const OTHER_CASELOAD: CaseloadId = CaseloadId([8; 16]);
const LAILA: PersonId = PersonId([1; 16]);
const SARA: PersonId = PersonId([2; 16]);
/// The first administrator, who is also more than a data manager.
const MANAGER: PersonId = PersonId([9; 16]);

struct Organisation {
    root: SigningKey,
    administrator: SigningKey,
    server: SigningKey,
    phone: SigningKey,
    state: Membership,
}

fn sign(organisation: &Membership, act: Act, key: &SigningKey) -> SignedEntry {
    let entry = MembershipEntry {
        organisation: organisation.organisation(),
        signer: key.public(),
        seen: organisation.last(),
        decided_at_ms: 5,
        act,
        extra: Extra::default(),
    };
    SignedEntry::sign(entry, key)
}

impl Organisation {
    fn new() -> Self {
        let key = |seed: u8| SigningKey::from_seed(&[seed; 32]);
        let (root, administrator, server, phone) = (key(1), key(2), key(3), key(4));
        let mut state = Membership::new(root.public().organisation());
        let begin = [
            (Act::Root { key: root.public() }, &root),
            (Act::Administrator { key: administrator.public(), person: MANAGER }, &root),
            (Act::ServerKey { key: server.public() }, &root),
            (Act::Caseload { caseload: CASELOAD }, &administrator),
            (Act::Caseload { caseload: OTHER_CASELOAD }, &administrator),
            (person(LAILA, Role::Enumerator), &administrator),
            (device(&phone, LAILA, Role::Enumerator), &administrator),
        ];
        for (act, key) in begin {
            let entry = sign(&state, act, key);
            state.apply(&entry).unwrap();
        }
        Self { root, administrator, server, phone, state }
    }

    fn decide(&mut self, act: Act, key: &SigningKey) -> Result<(), MembershipError> {
        self.state.apply(&sign(&self.state, act, key)).map(|_| ())
    }
}

fn person(person: PersonId, role: Role) -> Act {
    Act::Person { person, role, caseloads: [CASELOAD].into(), cuts: Vec::new() }
}

fn device(key: &SigningKey, person: PersonId, role: Role) -> Act {
    Act::Device { key: key.public(), person, role, caseloads: [CASELOAD].into(), invitation: None }
}

fn invitation(secret: [u8; 16]) -> Act {
    let expires_at_ms = 1_000;
    Act::Invitation { secret_hash: secret_hash(&secret), role: Role::Enumerator, caseloads: [CASELOAD].into(), expires_at_ms }
}

#[test]
fn only_those_decide_who_may() {
    let new = SigningKey::from_seed(&[5; 32]).public();
    let subject = Subject::Person(LAILA);
    let (record, phone) = (RecordId([3; 16]), SigningKey::from_seed(&[4; 32]).public().device());
    // What, then whether the root, an administrator, a server and a device may decide it.
    let table: [(Act, [bool; 4]); 15] = [
        (Act::Administrator { key: new, person: SARA }, [true, false, false, false]),
        (Act::ServerKey { key: new }, [true, false, false, false]),
        (Act::Caseload { caseload: CaseloadId([10; 16]) }, [false, true, false, false]),
        (person(SARA, Role::Supervisor), [false, true, false, false]),
        (person(SARA, Role::Enumerator), [false, true, true, false]),
        (person(LAILA, Role::Enumerator), [false, true, false, false]),
        (invitation([6; 16]), [false, true, false, false]),
        (device(&SigningKey::from_seed(&[5; 32]), LAILA, Role::Enumerator), [false, true, false, false]),
        (Act::Grant { subject, caseload: OTHER_CASELOAD }, [false, true, false, false]),
        (Act::Withdraw { subject, cut: Cut { caseload: CASELOAD, sequence: 3 } }, [false, true, false, false]),
        (Act::Revoke { subject, cuts: Vec::new() }, [true, true, false, false]),
        (Act::Erase { record, person: MANAGER }, [false, true, true, false]),
        (Act::ErasePart { record, generation: 1, part: "phone".to_owned(), person: LAILA }, [false, true, false, false]),
        (Act::Move { record, from: CASELOAD, to: OTHER_CASELOAD, person: MANAGER }, [false, true, true, false]),
        (Act::Adopt { device: phone, adopted: Vec::new(), person: LAILA }, [false, true, false, false]),
    ];
    for (act, may) in table {
        for (who, allowed) in ["root", "administrator", "server", "device"].into_iter().zip(may) {
            let mut organisation = Organisation::new();
            let key = match who {
                "root" => organisation.root.clone(),
                "administrator" => organisation.administrator.clone(),
                "server" => organisation.server.clone(),
                _ => organisation.phone.clone(),
            };
            let before = organisation.state.clone();
            let outcome = organisation.decide(act.clone(), &key);
            assert_eq!(outcome.is_ok(), allowed, "{who} decides {}: {outcome:?}", act.name());
            if !allowed {
                assert!(matches!(outcome, Err(MembershipError::NotAllowed { .. })), "{who}: {outcome:?}");
                assert!(organisation.state == before, "a refused decision leaves no trace");
            }
        }
    }
}

#[test]
fn a_signature_is_over_every_byte_and_this_organisation_only() {
    let organisation = Organisation::new();
    let bytes = sign(&organisation.state, person(SARA, Role::Enumerator), &organisation.administrator).encode();
    for position in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[position] ^= 1;
        let believed = SignedEntry::decode(&broken).is_ok_and(|entry| organisation.state.clone().apply(&entry).is_ok());
        assert!(!believed, "byte {position}");
    }
    let stranger = Membership::new(organisation.phone.public().organisation());
    let foreign = sign(&stranger, person(SARA, Role::Enumerator), &organisation.administrator);
    assert!(matches!(organisation.state.clone().apply(&foreign), Err(MembershipError::WrongOrganisation)));
}

#[test]
fn an_invitation_is_used_once_and_gives_no_more_than_it_says() {
    let mut organisation = Organisation::new();
    let (administrator, server) = (organisation.administrator.clone(), organisation.server.clone());
    organisation.decide(invitation([6; 16]), &administrator).unwrap();
    let join = |seed: u8, role, caseload: CaseloadId| Act::Device {
        key: SigningKey::from_seed(&[seed; 32]).public(),
        person: SARA,
        role,
        caseloads: [caseload].into(),
        invitation: Some(secret_hash(&[6; 16])),
    };
    assert_eq!(organisation.decide(join(20, Role::Supervisor, CASELOAD), &server), Err(MembershipError::BeyondInvitation));
    assert_eq!(organisation.decide(join(20, Role::Enumerator, OTHER_CASELOAD), &server), Err(MembershipError::BeyondInvitation));
    organisation.decide(join(20, Role::Enumerator, CASELOAD), &server).unwrap();
    assert_eq!(organisation.decide(join(21, Role::Enumerator, CASELOAD), &server), Err(MembershipError::InvitationUsed));
    assert_eq!(organisation.state.person(SARA).unwrap().role, Role::Enumerator);
}

#[test]
fn a_person_may_do_on_a_device_the_lesser_of_both() {
    let mut organisation = Organisation::new();
    let administrator = organisation.administrator.clone();
    let phone = organisation.phone.public().device();
    assert_eq!(organisation.state.may_write(LAILA, phone, CASELOAD), Ok(Role::Enumerator));
    assert_eq!(organisation.state.may_write(SARA, phone, CASELOAD), Err(NotEntitled::UnknownPerson));
    assert_eq!(organisation.state.may_write(LAILA, phone, OTHER_CASELOAD), Err(NotEntitled::DeviceNotGranted));
    organisation.decide(person(SARA, Role::Supervisor), &administrator).unwrap();
    assert_eq!(organisation.state.may_write(SARA, phone, CASELOAD), Ok(Role::Enumerator), "the phone is an enumerator's");
    let server = organisation.server.public().device();
    assert_eq!(organisation.state.may_write(SARA, server, CASELOAD), Ok(Role::Supervisor), "the server is as its person");
}

#[test]
fn revocation_counts_from_its_cut_on() {
    let mut organisation = Organisation::new();
    let administrator = organisation.administrator.clone();
    let phone = organisation.phone.public().device();
    let cuts = vec![Cut { caseload: CASELOAD, sequence: 40 }];
    organisation.decide(Act::Revoke { subject: Subject::Device(phone), cuts }, &administrator).unwrap();
    assert_eq!(organisation.state.may_write(LAILA, phone, CASELOAD), Err(NotEntitled::DeviceRevoked));
    assert_eq!(organisation.state.readable(phone), Err(NotEntitled::DeviceRevoked));
    assert!(organisation.state.before_cuts(LAILA, phone, CASELOAD, 40));
    assert!(!organisation.state.before_cuts(LAILA, phone, CASELOAD, 41));
    assert!(organisation.state.key_of(phone).is_some(), "what it sent before still verifies");
}

#[test]
fn what_a_newer_version_decides_is_kept_from_those_who_decide_anything() {
    let act = Act::Other { kind: 99, content: Extra::default() };
    let mut organisation = Organisation::new();
    let keys = [&organisation.root, &organisation.administrator, &organisation.server, &organisation.phone].map(Clone::clone);
    let outcomes = keys.map(|key| organisation.decide(act.clone(), &key).is_ok());
    assert_eq!(outcomes, [true, true, true, false]);
}

#[test]
fn nothing_is_decided_about_what_is_not_there_nor_made_twice() {
    let mut organisation = Organisation::new();
    let administrator = organisation.administrator.clone();
    let (nobody, nowhere) = (PersonId([77; 16]), CaseloadId([77; 16]));
    let nothing = SigningKey::from_seed(&[77; 32]).public().device();
    let record = RecordId([3; 16]);
    let elsewhere = |from, to| Act::Move { record, from, to, person: MANAGER };
    let invites = |caseload| Act::Invitation {
        secret_hash: secret_hash(&[9; 16]),
        role: Role::Enumerator,
        caseloads: [caseload].into(),
        expires_at_ms: 1_000,
    };
    let cut = |caseload| Cut { caseload, sequence: 3 };
    let unknown = [
        Act::Grant { subject: Subject::Person(nobody), caseload: CASELOAD },
        Act::Grant { subject: Subject::Device(nothing), caseload: CASELOAD },
        Act::Grant { subject: Subject::Person(LAILA), caseload: nowhere },
        Act::Withdraw { subject: Subject::Device(nothing), cut: cut(CASELOAD) },
        Act::Withdraw { subject: Subject::Person(LAILA), cut: cut(nowhere) },
        Act::Revoke { subject: Subject::Person(nobody), cuts: Vec::new() },
        elsewhere(nowhere, CASELOAD),
        elsewhere(CASELOAD, nowhere),
        Act::Adopt { device: nothing, adopted: Vec::new(), person: MANAGER },
        invites(nowhere),
        device(&SigningKey::from_seed(&[78; 32]), nobody, Role::Enumerator),
        Act::Person { person: SARA, role: Role::Enumerator, caseloads: [nowhere].into(), cuts: Vec::new() },
    ];
    for act in unknown {
        let outcome = organisation.decide(act.clone(), &administrator);
        assert!(matches!(outcome, Err(MembershipError::Unknown { .. })), "{}: {outcome:?}", act.name());
    }
    organisation.decide(invites(CASELOAD), &administrator).unwrap();
    let (server, phone) = (organisation.server.clone(), organisation.phone.clone());
    let twice = [
        invites(CASELOAD),
        Act::Caseload { caseload: CASELOAD },
        device(&phone, LAILA, Role::Enumerator),
        // A server's key writes as a device already.
        device(&server, LAILA, Role::Enumerator),
    ];
    for act in twice {
        let outcome = organisation.decide(act.clone(), &administrator);
        assert!(matches!(outcome, Err(MembershipError::Exists { .. })), "{}: {outcome:?}", act.name());
    }
}

#[test]
fn an_administrator_who_is_revoked_decides_no_more_and_others_go_on() {
    let mut organisation = Organisation::new();
    let (root, first) = (organisation.root.clone(), organisation.administrator.clone());
    let second = SigningKey::from_seed(&[30; 32]);
    organisation.decide(Act::Administrator { key: second.public(), person: SARA }, &root).unwrap();
    organisation.decide(Act::Revoke { subject: Subject::Person(MANAGER), cuts: Vec::new() }, &second).unwrap();
    let outcome = organisation.decide(Act::Caseload { caseload: CaseloadId([40; 16]) }, &first);
    assert!(matches!(outcome, Err(MembershipError::NotAllowed { .. })), "{outcome:?}");
    organisation.decide(Act::Caseload { caseload: CaseloadId([41; 16]) }, &second).unwrap();
}

#[test]
fn keys_are_those_of_the_device_that_is_asked_for_and_rights_those_that_stand() {
    let mut organisation = Organisation::new();
    let (root, administrator) = (organisation.root.clone(), organisation.administrator.clone());
    let second_server = SigningKey::from_seed(&[31; 32]);
    organisation.decide(Act::ServerKey { key: second_server.public() }, &root).unwrap();
    let position = organisation.state.cursor().sequence + 1;
    let operators = SigningKey::from_seed(&[32; 32]);
    organisation.decide(person(SARA, Role::Operator), &administrator).unwrap();
    organisation.decide(device(&operators, SARA, Role::Operator), &administrator).unwrap();
    let state = &organisation.state;
    for key in [&organisation.phone, &organisation.server, &second_server, &operators] {
        assert_eq!(state.key_of(key.public().device()), Some(key.public()));
    }
    assert_eq!(state.key_of(root.public().device()), None);
    assert_eq!(state.device(operators.public().device()).unwrap().position, position + 1);
    let servers: Vec<_> = state.servers().collect();
    assert!(servers.len() == 2 && servers.contains(&organisation.server.public()) && servers.contains(&second_server.public()));
    assert!(
        state.is_server_device(second_server.public().device()) && !state.is_server_device(organisation.phone.public().device())
    );

    assert_eq!(state.readable(organisation.phone.public().device()), Ok([CASELOAD].into()));
    assert_eq!(state.readable(operators.public().device()), Ok([].into()), "an operator reads no records");
    assert_eq!(state.may_write(SARA, operators.public().device(), CASELOAD), Err(NotEntitled::Role(Role::Operator)));
    // Neither a person without the caseload, nor a key that is no server's, nor a server that was retired.
    let server = organisation.server.public();
    assert_eq!(state.may_write(LAILA, server.device(), OTHER_CASELOAD), Err(NotEntitled::PersonNotGranted));
    assert_eq!(state.may_write(MANAGER, server.device(), OTHER_CASELOAD), Ok(Role::Administrator));
    assert_eq!(state.may_write(LAILA, root.public().device(), CASELOAD), Err(NotEntitled::UnknownDevice));
    organisation.decide(Act::RetireServerKey { key: server }, &root).unwrap();
    let state = &organisation.state;
    assert_eq!(state.may_write(LAILA, server.device(), CASELOAD), Err(NotEntitled::UnknownDevice));
    assert_eq!(state.may_write(LAILA, second_server.public().device(), CASELOAD), Ok(Role::Enumerator));
    assert_eq!(state.key_of(server.device()), Some(server), "what it wrote before still verifies");
    assert!(state.is_server_device(server.device()) && state.servers().eq([second_server.public()]));
}

#[test]
fn records_are_erased_moved_and_adopted_as_decided_and_no_others() {
    let mut organisation = Organisation::new();
    let administrator = organisation.administrator.clone();
    let [erased, part, moved, other] = [10, 11, 12, 13].map(|seed| RecordId([seed; 16]));
    assert!(organisation.state.records().is_empty());
    organisation.decide(Act::Erase { record: erased, person: MANAGER }, &administrator).unwrap();
    let records = organisation.state.records();
    assert!(!records.is_empty() && records.is_erased(erased) && !records.is_erased(other));
    assert_eq!(records.erased(), &[erased].into());
    for (generation, name) in [(1, "phone"), (2, "name"), (2, "once more")] {
        let act = Act::ErasePart { record: part, generation, part: name.to_owned(), person: MANAGER };
        organisation.decide(act, &administrator).unwrap();
    }
    let act = Act::Move { record: moved, from: CASELOAD, to: OTHER_CASELOAD, person: MANAGER };
    organisation.decide(act, &administrator).unwrap();
    let records = organisation.state.records();
    assert_eq!((records.generation(part), records.generation(other)), (2, 0));
    assert_eq!(records.erased_parts(part), ["phone", "name"], "a generation is counted once");
    assert!(records.with_erased_parts().eq([part]) && records.moved().eq([moved]));
    assert_eq!((records.moved_to(moved), records.moved_to(other)), (Some(OTHER_CASELOAD), None));
    assert_eq!((records.caseload(moved, CASELOAD), records.caseload(other, CASELOAD)), (OTHER_CASELOAD, CASELOAD));
    assert!(records.was_in(moved, CASELOAD) && !records.was_in(other, CASELOAD));
    let (envelope, stranger) = (Hash([1; 32]), Hash([2; 32]));
    let device = organisation.phone.public().device();
    let adopted = vec![Adopted { envelope, record: Some(other) }];
    let entry = sign(&organisation.state, Act::Adopt { device, adopted, person: MANAGER }, &administrator);
    organisation.state.apply(&SignedEntry::decode(&entry.encode()).unwrap()).unwrap();
    let records = organisation.state.records();
    assert!(records.is_adopted(envelope, other) && !records.is_adopted(envelope, part) && !records.is_adopted(stranger, other));
}

#[test]
fn a_signature_for_one_thing_does_not_pass_for_another_and_people_compare_the_same_digits() {
    let (one, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let namespaces = [Namespace::Envelope, Namespace::Membership, Namespace::Possession];
    for signed in namespaces {
        let signature = one.sign(signed, b"bytes");
        for namespace in namespaces {
            assert_eq!(one.public().verify(namespace, b"bytes", &signature).is_ok(), namespace == signed);
        }
        assert!(other.public().verify(signed, b"bytes", &signature).is_err());
        assert!(one.public().verify(signed, b"other bytes", &signature).is_err());
    }
    assert_eq!(SigningKey::from_seed(&one.seed()).public(), one.public());
    let code = one.public().short_code(&other.public());
    assert_eq!(code, other.public().short_code(&one.public()));
    assert_eq!(code, "846525", "both sides of every version say the same");
    assert!(!format!("{one:?}").is_empty() && !format!("{one:?}").contains("0101"), "a key prints as its public key");
}

#[test]
fn a_decision_is_written_as_it_always_was() {
    let organisation = Organisation::new();
    let (record, subject) = (RecordId([3; 16]), Subject::Person(LAILA));
    let acts = [
        Act::ServerKey { key: organisation.phone.public() },
        Act::Grant { subject, caseload: CASELOAD },
        Act::Adopt { device: organisation.phone.public().device(), adopted: Vec::new(), person: MANAGER },
        Act::Move { record, from: CASELOAD, to: OTHER_CASELOAD, person: MANAGER },
        device(&organisation.phone, LAILA, Role::Enumerator),
    ];
    let mut all = blake3::Hasher::new();
    for act in acts {
        all.update(&sign(&organisation.state, act, &organisation.administrator).encode());
    }
    assert_eq!(
        all.finalize().to_hex().as_str(),
        "1833792f0b00edf2b9b5a599bc717b217f7d5a3592a14c5e44e91948cb0242be",
        "others read what this version writes"
    );
}

#[test]
fn caseloads_are_written_in_one_way_only() {
    let organisation = Organisation::new();
    let caseloads = [CASELOAD, OTHER_CASELOAD].into();
    let act = Act::Person { person: SARA, role: Role::Enumerator, caseloads, cuts: Vec::new() };
    let entry = sign(&organisation.state, act, &organisation.administrator);
    let bytes = entry.encode();
    let opens = |bytes: &[u8]| SignedEntry::decode(bytes).unwrap().open_unchecked().is_ok();
    assert!(SignedEntry::decode(&bytes).unwrap() == entry && opens(&bytes));
    let of = |caseload: CaseloadId| bytes.windows(16).position(|window| window == caseload.0).unwrap();
    let (first, second) = (of(CASELOAD), of(OTHER_CASELOAD));
    let mut turned = bytes.clone();
    turned[first..first + 16].copy_from_slice(&OTHER_CASELOAD.0);
    turned[second..second + 16].copy_from_slice(&CASELOAD.0);
    assert!(!opens(&turned), "in another order");
    let mut twice = bytes;
    twice[second..second + 16].copy_from_slice(&CASELOAD.0);
    assert!(!opens(&twice), "one twice");
}
