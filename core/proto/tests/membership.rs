//! The membership log: who may decide what, and what a decision leaves standing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_proto::codec::Extra;
use karwan_proto::error::{MembershipError, NotEntitled};
use karwan_proto::invitation::secret_hash;
use karwan_proto::membership::{Act, Cut, Membership, MembershipEntry, Role, SignedEntry, Subject};
use karwan_proto::{CaseloadId, PersonId, RecordId, SigningKey};

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
