//! The file system under SQLite, the system's own with [`super::disk`] in between, as the default of this process: stores and logs run over
//! it unchanged.
//!
//! SQLite calls file systems through C tables of functions, so this one room is unsafe. What makes it sound: SQLite gives every open file
//! `szOsFile` bytes, of which the first are a [`Watched`] and the rest are the system's own file; it calls a file's functions only between a
//! successful `xOpen` and its `xClose`, never two at a time on one file; and the tables and the registered file system live for ever.
#![allow(unsafe_code, reason = "a file system for SQLite is a C interface; the reasons that it is sound are above")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use super::disk::{self, Outcome};

/// What precedes the system's file in the memory that SQLite gives.
#[repr(C)]
struct Watched {
    base: sqlite3_file,
    /// The file's path where it is on the disk that fails; owned.
    path: *mut PathBuf,
}

const OWN_BYTES: usize = size_of::<Watched>();

/// The file system with the system's behind it.
#[repr(C)]
struct Failing {
    base: sqlite3_vfs,
    real: *mut sqlite3_vfs,
}

/// Makes it the default of the process, once.
///
/// # Panics
/// Where SQLite has no file system or refuses this one.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's own file system lives for ever; ours is leaked for the same reason.
        let registered = unsafe {
            let real = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!real.is_null(), "SQLite has a file system");
            let mut base = *real;
            base.pNext = std::ptr::null_mut();
            base.zName = c"failing".as_ptr();
            base.szOsFile += OWN_BYTES as c_int;
            base.xOpen = Some(open);
            base.xDelete = Some(delete);
            let failing = Box::leak(Box::new(Failing { base, real }));
            ffi::sqlite3_vfs_register((&raw mut *failing).cast(), 1)
        };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite takes the file system");
    });
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Version 2: shared memory, no memory-mapped reading.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe fn real_vfs(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: SQLite gives back the pointer that was registered, which begins a `Failing`.
    unsafe { (*vfs.cast::<Failing>()).real }
}

unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the system's file follows ours in the memory that `szOsFile` asked for.
    unsafe { file.cast::<u8>().add(OWN_BYTES).cast() }
}

unsafe fn watched<'a>(file: *mut sqlite3_file) -> Option<&'a Path> {
    // SAFETY: `open` wrote a `Watched` here; its path, if any, lives until `close`.
    unsafe { (*file.cast::<Watched>()).path.as_ref().map(PathBuf::as_path) }
}

unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: SQLite's names are null or end with a zero byte.
    (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())))
}

/// Calls a function of the system's file.
macro_rules! forward {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: the system's file is open, so its table is there; a function that it lacks is an error of SQLite's kind.
        unsafe {
            let real = real($file);
            match (*(*real).pMethods).$method {
                Some(function) => function(real $(, $argument)*),
                None => ffi::SQLITE_IOERR,
            }
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as the head of this file says; a file whose `pMethods` is null is not closed by SQLite.
    unsafe {
        (*file).pMethods = std::ptr::null();
        let path = path_of(name).filter(|path| disk::holds(path));
        if let Some(path) = &path {
            if flags & ffi::SQLITE_OPEN_CREATE != 0 && !path.exists() && disk::attempt(None) != Outcome::Done {
                return ffi::SQLITE_CANTOPEN;
            }
            if disk::is_dead() {
                return ffi::SQLITE_CANTOPEN;
            }
            disk::opened(path, || std::fs::read(path).unwrap_or_default());
        }
        let real_vfs = real_vfs(vfs);
        let Some(opening) = (*real_vfs).xOpen else { return ffi::SQLITE_CANTOPEN };
        let done = opening(real_vfs, name, real(file), flags, out);
        if done == ffi::SQLITE_OK {
            let path = path.map_or(std::ptr::null_mut(), |path| Box::into_raw(Box::new(path)));
            file.cast::<Watched>().write(Watched { base: sqlite3_file { pMethods: &raw const METHODS }, path });
        }
        done
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: as the head of this file says.
    unsafe {
        let path = path_of(name).filter(|path| disk::holds(path));
        if path.is_some() && disk::attempt(None) != Outcome::Done {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let real_vfs = real_vfs(vfs);
        let Some(deleting) = (*real_vfs).xDelete else { return ffi::SQLITE_IOERR_DELETE };
        let done = deleting(real_vfs, name, 0);
        if let Some(path) = path {
            disk::deleted(&path, sync_folder != 0);
        }
        done
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let done = forward!(file, xClose);
    // SAFETY: the path was made by `open` from a box, and SQLite does not use the file again.
    unsafe {
        let path = (*file.cast::<Watched>()).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
        (*file).pMethods = std::ptr::null();
    }
    done
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: the file is open.
    if unsafe { watched(file) }.is_some() && disk::is_dead() {
        return ffi::SQLITE_IOERR_READ;
    }
    forward!(file, xRead, into, length, offset)
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: the file is open.
    let Some(path) = (unsafe { watched(file) }) else { return forward!(file, xWrite, from, length, offset) };
    let bytes = usize::try_from(length).unwrap_or(0);
    let (bytes, answer) = match disk::attempt(Some(bytes)) {
        Outcome::Done => (bytes, ffi::SQLITE_OK),
        Outcome::Failed => return ffi::SQLITE_IOERR_WRITE,
        Outcome::Full => return ffi::SQLITE_FULL,
        Outcome::Partly(part) => (part, ffi::SQLITE_IOERR_WRITE),
    };
    let done = forward!(file, xWrite, from, bytes as c_int, offset);
    if done == ffi::SQLITE_OK {
        // SAFETY: SQLite gives `length` bytes to read, of which these are no more.
        let content = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) };
        disk::wrote(path, usize::try_from(offset).unwrap_or(0), content);
        return answer;
    }
    done
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: i64) -> c_int {
    // SAFETY: the file is open.
    if let Some(path) = unsafe { watched(file) } {
        if disk::attempt(None) != Outcome::Done {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        disk::cut_to(path, usize::try_from(length).unwrap_or(0));
    }
    forward!(file, xTruncate, length)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let Some(path) = (unsafe { watched(file) }) else { return forward!(file, xSync, flags) };
    let commits = path.to_str().is_some_and(|name| name.ends_with("-wal"));
    let outcome = if commits { disk::attempt_commit() } else { disk::attempt(None) };
    if outcome != Outcome::Done {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // The real disk need not be asked: what survives is decided here.
    disk::synced(path);
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut i64) -> c_int {
    forward!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    forward!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    forward!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    forward!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(file: *mut sqlite3_file, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int {
    forward!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    forward!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: the file is open.
    unsafe {
        let real = real(file);
        if let Some(function) = (*(*real).pMethods).xShmBarrier {
            function(real);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    forward!(file, xShmUnmap, delete)
}
