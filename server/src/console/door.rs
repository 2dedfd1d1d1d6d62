//! The door: who is signed in, and who tried too often. Both are kept in memory: a restart signs everybody out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use karwan_proto::PersonId;

use crate::clock::random;
use crate::organisation::hex;

/// A session ends after so long without a page.
const IDLE_MS: i64 = 60 * 60 * 1000;
/// A session ends after so long in any case.
const LIFE_MS: i64 = 12 * 60 * 60 * 1000;
/// Most sessions at once; the one that was idle longest makes room.
const SESSIONS_MAX: usize = 5_000;
/// Failed attempts are forgotten after so long.
const WINDOW_MS: i64 = 10 * 60 * 1000;
/// Failed attempts for one name from one address, from one address, and for one name from anywhere.
const ATTEMPTS_MAX: [u32; 3] = [5, 40, 60];
/// Names and addresses that are remembered.
const TRIED_MAX: usize = 20_000;
/// Longest name or password that is looked at, in bytes.
pub const SIGN_IN_BYTES_MAX: usize = 1_000;

/// What is remembered of a session; the secret itself is only in its cookie.
#[derive(Debug, Clone)]
struct Session {
    person: PersonId,
    began_ms: i64,
    seen_ms: i64,
    told: Option<Told>,
}

/// What the next page tells about the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was done.
    pub text: String,
    /// How it is undone, where that needs saying.
    pub hint: &'static str,
    /// Where it can be seen.
    pub link: String,
}

/// Failed attempts since a moment.
#[derive(Debug, Clone, Copy)]
struct Tried {
    count: u32,
    since_ms: i64,
}

/// Sessions and attempts.
pub struct Door {
    /// Makes tokens of cookies: another one after each start.
    secret: [u8; 32],
    sessions: Mutex<BTreeMap<[u8; 32], Session>>,
    tried: Mutex<BTreeMap<String, Tried>>,
}

impl Door {
    /// A door that nobody has come through.
    pub fn new() -> Self {
        Self { secret: random(), sessions: Mutex::default(), tried: Mutex::default() }
    }

    /// Lets a person in; gives the secret for the cookie.
    pub fn enter(&self, person: PersonId, now_ms: i64) -> String {
        let secret = hex(&random::<32>());
        let mut sessions = locked(&self.sessions);
        sessions.retain(|_, session| is_open(session, now_ms));
        if sessions.len() >= SESSIONS_MAX {
            let idlest = sessions.iter().min_by_key(|(_, session)| session.seen_ms).map(|(key, _)| *key);
            idlest.map(|key| sessions.remove(&key));
        }
        sessions.insert(key(&secret), Session { person, began_ms: now_ms, seen_ms: now_ms, told: None });
        secret
    }

    /// Who has this cookie; the session goes on from here.
    pub fn person(&self, secret: &str, now_ms: i64) -> Option<PersonId> {
        let mut sessions = locked(&self.sessions);
        let session = sessions.get_mut(&key(secret)).filter(|session| is_open(session, now_ms))?;
        session.seen_ms = now_ms;
        Some(session.person)
    }

    /// Ends a session.
    pub fn leave(&self, secret: &str) {
        locked(&self.sessions).remove(&key(secret));
    }

    /// Leaves word for the next page of a session.
    pub fn tell(&self, secret: &str, told: Told) {
        if let Some(session) = locked(&self.sessions).get_mut(&key(secret)) {
            session.told = Some(told);
        }
    }

    /// Takes the word that was left.
    pub fn told(&self, secret: &str) -> Option<Told> {
        locked(&self.sessions).get_mut(&key(secret))?.told.take()
    }

    /// The token that every form of whoever holds this cookie carries.
    pub fn token(&self, cookie: &str) -> String {
        hex(blake3::keyed_hash(&self.secret, cookie.as_bytes()).as_bytes())
    }

    /// Whether a form's token is the one of this cookie, in time that tells nothing.
    pub fn is_token(&self, cookie: &str, token: &str) -> bool {
        // Hashes compare in constant time.
        blake3::hash(self.token(cookie).as_bytes()) == blake3::hash(token.as_bytes())
    }

    /// Minutes to wait before this name may be tried from this address; nothing where it may be tried now.
    pub fn wait_minutes(&self, name: &str, address: IpAddr, now_ms: i64) -> Option<i64> {
        let tried = locked(&self.tried);
        let waits = attempt_keys(name, address).into_iter().zip(ATTEMPTS_MAX).filter_map(|(key, most)| {
            let tried = tried.get(&key).filter(|tried| tried.count >= most)?;
            let left = tried.since_ms + WINDOW_MS - now_ms;
            (left > 0).then(|| left / 60_000 + 1)
        });
        waits.max()
    }

    /// Counts an attempt: as one that failed, until [`Door::succeeded`] takes it back.
    pub fn failed(&self, name: &str, address: IpAddr, now_ms: i64) {
        let mut tried = locked(&self.tried);
        if tried.len() + ATTEMPTS_MAX.len() > TRIED_MAX {
            tried.retain(|_, tried| tried.since_ms + WINDOW_MS > now_ms);
        }
        if tried.len() + ATTEMPTS_MAX.len() > TRIED_MAX {
            let oldest = tried.iter().min_by_key(|(_, tried)| tried.since_ms).map(|(key, _)| key.clone());
            oldest.map(|key| tried.remove(&key));
        }
        for key in attempt_keys(name, address) {
            let entry = tried.entry(key).or_insert(Tried { count: 0, since_ms: now_ms });
            if entry.since_ms + WINDOW_MS <= now_ms {
                *entry = Tried { count: 0, since_ms: now_ms };
            }
            entry.count += 1;
        }
    }

    /// Forgets what this name failed from this address.
    pub fn succeeded(&self, name: &str, address: IpAddr) {
        let mut tried = locked(&self.tried);
        for key in attempt_keys(name, address) {
            if let Some(entry) = tried.get_mut(&key) {
                entry.count = entry.count.saturating_sub(1);
            }
        }
    }
}

fn is_open(session: &Session, now_ms: i64) -> bool {
    now_ms - session.seen_ms < IDLE_MS && now_ms - session.began_ms < LIFE_MS
}

fn key(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

fn attempt_keys(name: &str, address: IpAddr) -> [String; 3] {
    // Hashed, so that long names cost no memory.
    let name = blake3::hash(name.as_bytes()).to_hex();
    [format!("{name} {address}"), format!("{address}"), format!("{name}")]
}

/// What a panic elsewhere left is still whole: every change of these maps is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAILA: PersonId = PersonId([7; 16]);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_session_ends_when_nobody_comes_back_and_in_any_case_after_half_a_day() {
        let door = Door::new();
        let secret = door.enter(LAILA, 0);
        assert_eq!(door.person(&secret, 59 * 60_000), Some(LAILA));
        assert_eq!(door.person(&secret, 118 * 60_000), Some(LAILA), "each page keeps it open");
        assert_eq!(door.person(&secret, 179 * 60_000), None);
        let secret = door.enter(LAILA, 0);
        for minutes in (0..720).step_by(30) {
            assert_eq!(door.person(&secret, minutes * 60_000), Some(LAILA), "{minutes}");
        }
        assert_eq!(door.person(&secret, 720 * 60_000), None);
        let secret = door.enter(LAILA, 0);
        door.leave(&secret);
        assert_eq!(door.person(&secret, 1), None);
        assert_eq!(door.person("guessed", 1), None);
    }

    #[test]
    fn after_five_failures_a_name_waits_at_that_address_and_no_other() {
        let door = Door::new();
        for attempt in 0..5 {
            assert_eq!(door.wait_minutes("laila", address(1), attempt), None);
            door.failed("laila", address(1), attempt);
        }
        assert_eq!(door.wait_minutes("laila", address(1), 10), Some(10));
        assert_eq!(door.wait_minutes("laila", address(2), 10), None);
        assert_eq!(door.wait_minutes("karim", address(1), 10), None);
        assert_eq!(door.wait_minutes("laila", address(1), WINDOW_MS), None, "the window is over");
    }

    #[test]
    fn one_address_cannot_go_through_many_names() {
        let door = Door::new();
        for attempt in 0..40 {
            door.failed(&format!("name {attempt}"), address(1), 0);
        }
        assert!(door.wait_minutes("another", address(1), 1).is_some());
    }

    #[test]
    fn a_token_belongs_to_one_cookie_of_one_start() {
        let (door, other) = (Door::new(), Door::new());
        assert!(door.is_token("cookie", &door.token("cookie")));
        assert!(!door.is_token("cookie", &door.token("another")));
        assert!(!door.is_token("cookie", &other.token("cookie")));
        assert!(!door.is_token("cookie", ""));
    }

    #[test]
    fn word_for_the_next_page_is_told_once() {
        let door = Door::new();
        let secret = door.enter(LAILA, 0);
        let told = Told { text: "Done.".to_owned(), hint: "", link: String::new() };
        door.tell(&secret, told.clone());
        assert_eq!(door.told(&secret), Some(told));
        assert_eq!(door.told(&secret), None);
    }
}
