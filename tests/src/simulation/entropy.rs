//! Randomness of a simulated world: drawn from its seed, so that identifiers, and whatever is ordered by them, are the same in every run.
//!
//! The program has no switch for this, and must have none: it draws from the system. This room stands in for the system's `getrandom` in the test
//! process alone, for threads that asked for it; all other threads get what the system gives. Where the C library is another than glibc
//! identifiers stay random.
#![allow(unsafe_code, reason = "the system's randomness is a C interface; the reasons that this is sound are at each use")]

use std::cell::RefCell;
use std::marker::PhantomData;

/// What a thread draws from.
struct Source {
    seed: u64,
    stream: blake3::OutputReader,
}

thread_local! {
    static SOURCE: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// While it is there, this thread draws from a seed.
pub(super) struct Seeded(PhantomData<*const ()>);

impl Seeded {
    pub(super) fn begin(seed: u64) -> Self {
        SOURCE.with_borrow_mut(|source| *source = Some(Source { seed, stream: stream(seed, u64::MAX) }));
        renew();
        Self(PhantomData)
    }

    /// Draws from the part of this number: what was drawn before does not matter any more.
    pub(super) fn turn(&self, part: u64) {
        SOURCE.with_borrow_mut(|source| {
            if let Some(source) = source {
                source.stream = stream(source.seed, part);
            }
        });
        renew();
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        SOURCE.with_borrow_mut(|source| *source = None);
        renew();
    }
}

fn stream(seed: u64, part: u64) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 simulated randomness");
    hasher.update(&seed.to_le_bytes()).update(&part.to_le_bytes());
    hasher.finalize_xof()
}

/// The thread's generator forgets what it had from before.
fn renew() {
    rand::rng().reseed().expect("the generator is seeded");
}

/// Fills these bytes where the thread draws from a seed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn fill(bytes: &mut [u8]) -> bool {
    // A thread that ends draws from the system.
    let filled = SOURCE.try_with(|source| {
        let mut source = source.try_borrow_mut().ok()?;
        source.as_mut()?.stream.fill(bytes);
        Some(())
    });
    matches!(filled, Ok(Some(())))
}

/// In place of the C library's function of this name, whom libraries look up.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[unsafe(no_mangle)]
extern "C" fn getrandom(buffer: *mut libc::c_void, length: libc::size_t, flags: libc::c_uint) -> libc::ssize_t {
    if length > 0 && !buffer.is_null() {
        // SAFETY: whoever calls `getrandom` gives so many bytes to be written. They may be uninitialised, so they are set before they are bytes.
        let bytes = unsafe {
            buffer.cast::<u8>().write_bytes(0, length);
            std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
        };
        if fill(bytes) {
            return length.cast_signed();
        }
    }
    // SAFETY: the system call of that name, with the arguments that came.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as libc::ssize_t }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn drawn() -> [u8; 16] {
        let mut bytes = [0; 16];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
        bytes
    }

    #[test]
    fn a_seed_gives_the_same_identifiers_and_only_where_it_was_asked_for() {
        let seeded = |seed, part| {
            let seeded = Seeded::begin(seed);
            seeded.turn(part);
            drawn()
        };
        assert_eq!(seeded(7, 1), seeded(7, 1));
        assert_ne!(seeded(7, 1), seeded(7, 2));
        assert_ne!(seeded(7, 1), seeded(8, 1));
        assert_ne!(drawn(), drawn());
        let here = Seeded::begin(7);
        here.turn(1);
        assert_ne!(std::thread::spawn(drawn).join().unwrap(), drawn());
    }
}
