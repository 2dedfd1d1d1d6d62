//! Randomness of a simulated world: drawn from its seed, so that identifiers, and whatever is ordered by them, are the same in every run.
//!
//! The program has no switch for this, and must have none: it draws from the system. This room stands in for the system's `getrandom` in the test
//! process alone, for threads that asked for it; all other threads get what the system gives. Where the C library is another than glibc
//! identifiers stay random.
#![allow(unsafe_code, reason = "the system's randomness is a C interface; the reasons that this is sound are at each use")]

use std::cell::RefCell;
use std::marker::PhantomData;

thread_local! {
    /// What a thread draws from instead of the system.
    static STREAM: RefCell<Option<blake3::OutputReader>> = const { RefCell::new(None) };
}

/// While it is there, the thread that made it draws from a seed.
pub(super) struct Seeded {
    seed: u64,
    of_this_thread: PhantomData<*const ()>,
}

impl Seeded {
    pub(super) fn begin(seed: u64) -> Self {
        let seeded = Self { seed, of_this_thread: PhantomData };
        seeded.turn(u64::MAX);
        seeded
    }

    /// Draws from the part of this number: what was drawn before does not matter any more.
    pub(super) fn turn(&self, part: u64) {
        draw_from(Some(stream(self.seed, part)));
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        draw_from(None);
    }
}

/// The thread's generator forgets what it had from before.
fn draw_from(stream: Option<blake3::OutputReader>) {
    STREAM.with_borrow_mut(|kept| *kept = stream);
    rand::rng().reseed().expect("the generator is seeded");
}

fn stream(seed: u64, part: u64) -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 simulated randomness");
    hasher.update(&seed.to_le_bytes()).update(&part.to_le_bytes());
    hasher.finalize_xof()
}

/// Fills these bytes where the thread draws from a seed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn fill(bytes: &mut [u8]) -> bool {
    // A thread that ends draws from the system.
    let filled = STREAM.try_with(|stream| {
        let mut stream = stream.try_borrow_mut().ok()?;
        stream.as_mut()?.fill(bytes);
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
