//! A link between two network namespaces: each packet that the kernel sends on one side waits for its place on the line, is lost at random,
//! is late, and comes out on the other side. TCP and UDP go over it alike.
//!
//! Each side is a thread in a network namespace of its own with one TUN device; sockets made by that thread stay in its namespace whoever
//! uses them. All of it ends with the process. Needs Linux and its administrator.
#![allow(unsafe_code, reason = "a namespace and a TUN device are made by plain system calls, on buffers that outlive them")]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Where devices are, and where servers are.
pub const FIELD: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const BASE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Largest packet on the line.
const MTU: usize = 1_400;

/// Both directions of a link.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub one_way: Duration,
    pub loss: f64,
    pub bits_per_s: f64,
    /// What would wait for longer is dropped.
    pub queue: Duration,
}

/// The link, until it is dropped.
pub struct Emulator {
    field: Side,
    base: Side,
    carried: [Arc<AtomicU64>; 2],
    tasks: Vec<JoinHandle<()>>,
}

impl Emulator {
    /// Makes both sides and carries packets between them, in the runtime in which it is called.
    pub fn begin(line: Line, seed: u64) -> io::Result<Self> {
        let (field, from_field) = Side::begin(FIELD)?;
        let (base, from_base) = Side::begin(BASE)?;
        let carried = [Arc::<AtomicU64>::default(), Arc::default()];
        let mut tasks = Vec::new();
        if tokio::runtime::Handle::try_current().is_ok() {
            let ends = [watched(from_field)?, watched(from_base)?];
            for (way, count) in carried.iter().enumerate() {
                let direction = Direction {
                    line,
                    from: ends[way].clone(),
                    to: ends[1 - way].clone(),
                    dice: StdRng::seed_from_u64(seed * 2 + way as u64),
                    carried: count.clone(),
                };
                tasks.push(tokio::spawn(direction.carry()));
            }
        }
        Ok(Self { field, base, carried, tasks })
    }

    /// Makes a socket where devices are.
    pub fn in_field<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> T {
        self.field.make(make)
    }

    /// Makes a socket where servers are.
    pub fn in_base<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> T {
        self.base.make(make)
    }

    /// Bytes of packets that the field has sent, also of those that were lost.
    pub fn bytes_up(&self) -> u64 {
        self.carried[0].load(Ordering::Relaxed)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// One side: a thread in its namespace.
struct Side {
    jobs: Sender<Job>,
}

impl Side {
    fn begin(address: Ipv4Addr) -> io::Result<(Self, File)> {
        let (jobs, todo) = channel::<Job>();
        let (told, began) = channel();
        std::thread::spawn(move || {
            let device = namespace(address);
            let works = device.is_ok();
            told.send(device).ok();
            if works {
                for job in todo {
                    job();
                }
            }
        });
        let device = began.recv().map_err(|_| io::Error::other("the side's thread ended"))??;
        Ok((Self { jobs }, device))
    }

    fn make<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> T {
        let (told, made) = channel();
        self.jobs.send(Box::new(move || drop(told.send(make())))).unwrap();
        made.recv().unwrap()
    }
}

/// Puts this thread into a namespace of its own and makes its device.
fn namespace(address: Ipv4Addr) -> io::Result<File> {
    // SAFETY: a plain call on this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let device = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeroes is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(c"line".to_bytes()) {
        *slot = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: the request outlives the call, which writes no more than its size.
    if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mtu = MTU.to_string();
    let address = format!("{address}/24");
    for words in [
        &["addr", "add", address.as_str(), "dev", "line"][..],
        &["link", "set", "line", "mtu", mtu.as_str(), "up"][..],
        &["link", "set", "lo", "up"][..],
    ] {
        if !Command::new("ip").args(words).status()?.success() {
            return Err(io::Error::other(format!("ip {} failed", words.join(" "))));
        }
    }
    Ok(device)
}

/// Chooses the kernel's controller for a TCP socket.
pub fn choose_tcp_controller(socket: &impl AsRawFd, name: &str) -> io::Result<()> {
    // SAFETY: the name outlives the call and is as long as said.
    let chosen = unsafe {
        let (level, option) = (libc::IPPROTO_TCP, libc::TCP_CONGESTION);
        libc::setsockopt(socket.as_raw_fd(), level, option, name.as_ptr().cast(), name.len() as libc::socklen_t)
    };
    if chosen == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The runtime tells when it has packets.
fn watched(device: File) -> io::Result<Arc<AsyncFd<File>>> {
    // SAFETY: the file owns its descriptor, which stays the same and open until the file is dropped with the watch.
    Ok(Arc::new(unsafe { AsyncFd::register(device) }?))
}

/// One direction.
struct Direction {
    line: Line,
    from: Arc<AsyncFd<File>>,
    to: Arc<AsyncFd<File>>,
    dice: StdRng,
    carried: Arc<AtomicU64>,
}

impl Direction {
    async fn carry(mut self) {
        let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut free = Instant::now();
        let mut buffer = vec![0u8; 2 * MTU];
        loop {
            let due = under_way.front().map(|(due, _)| *due);
            tokio::select! {
                ready = self.from.readable() => {
                    let Ok(mut ready) = ready else { return };
                    let Ok(Ok(length)) = ready.try_io(|device| device.get_ref().read(&mut buffer)) else { continue };
                    let now = Instant::now();
                    free = free.max(now);
                    self.carried.fetch_add(length as u64, Ordering::Relaxed);
                    if free.duration_since(now) > self.line.queue {
                        continue;
                    }
                    free += Duration::from_secs_f64(length as f64 * 8.0 / self.line.bits_per_s);
                    // Lost in the air, after it took its time on the line.
                    if self.dice.random::<f64>() >= self.line.loss {
                        under_way.push_back((free + self.line.one_way, buffer[..length].to_vec()));
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some((_, packet)) = under_way.pop_front() {
                        // A kernel that takes no packet loses it.
                        self.to.get_ref().write_all(&packet).ok();
                    }
                }
            }
        }
    }
}
