//! Runs one target: inputs one after the other in this thread, each caught, timed and weighed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::corpus::Pool;
use super::marks::Marks;
use super::memory;
use super::mutation::INPUT_BYTES_MAX;
use super::shrink::shrink;
use super::target::Target;
use crate::corpus::Dice;

/// What one input may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of the longest step (see [`Marks::step`]), in time of the processor.
    pub time: Duration,
    /// Held at once, in bytes.
    pub memory_bytes: usize,
}

/// Of an input of at most 64 KiB.
pub const LIMITS: Limits = Limits { time: Duration::from_secs(2), memory_bytes: 512 << 20 };
/// Stack of the thread that runs inputs, in bytes: a server reads forms on threads that have no more.
pub const STACK_BYTES: usize = 2 << 20;
/// A slow input is run so often before it counts: something else may have slowed it.
const TIMED_AGAIN: usize = 2;
/// Time that shrinking one finding may take.
const SHRINK_TIME: Duration = Duration::from_secs(20);
/// What takes longer in all is not made more of.
const BRED_WITHIN: Duration = Duration::from_millis(300);
/// Time between two lines of progress.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Of so many inputs one is made from the latest that were kept.
const LATEST_ONE_IN: u64 = 3;
const LATEST: usize = 50;

/// What went wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Where, and what it said.
    Panic {
        place: String,
        message: String,
    },
    Time(Duration),
    Memory(usize),
}

impl Failure {
    /// What tells two findings apart.
    pub fn key(&self) -> String {
        match self {
            Self::Panic { place, .. } => format!("panic at {place}"),
            Self::Time(_) => "too much time".to_owned(),
            Self::Memory(_) => "too much memory".to_owned(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panic { place, message } => write!(formatter, "panic at {place}: {message}"),
            Self::Time(time) => write!(formatter, "{:.1} s", time.as_secs_f64()),
            Self::Memory(bytes) => write!(formatter, "{} MiB held at once", bytes >> 20),
        }
    }
}

/// How a run is done.
#[derive(Debug, Clone)]
pub struct Options {
    pub time: Duration,
    pub seed: u64,
    /// Where findings are written.
    pub findings: PathBuf,
    pub limits: Limits,
    /// Whether progress is printed.
    pub tells: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub inputs: u64,
    pub findings: Vec<(Failure, PathBuf)>,
    pub pool: Pool,
    /// The slowest input and the heaviest, of those within the limits.
    pub slowest: Duration,
    pub heaviest_bytes: usize,
}

thread_local! {
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// When the input that runs now began, in milliseconds since the process did; 0: none runs.
pub static BEGAN_MS: AtomicU64 = AtomicU64::new(0);

/// Milliseconds since this was first asked.
pub fn now_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64 + 1
}

/// Keeps panics quiet: where they happened is noted for [`one`].
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message").to_owned();
        PANIC.with_borrow_mut(|noted| *noted = Some((place, message)));
    }));
}

/// Runs one input once: its marks or its failure, the time and the memory that it took.
fn once(target: &Target, input: &[u8], limits: Limits) -> (Result<Marks, Failure>, Duration, usize) {
    let held = memory::begin();
    BEGAN_MS.store(now_ms(), Ordering::Relaxed);
    let mut marks = Marks::default();
    let caught = catch_unwind(AssertUnwindSafe(|| (target.run)(input, &mut marks)));
    marks.step();
    let time = marks.longest_step;
    BEGAN_MS.store(0, Ordering::Relaxed);
    let bytes = memory::peak_bytes().saturating_sub(held);
    let outcome = if caught.is_err() {
        let (place, message) = PANIC.take().unwrap_or_default();
        Err(Failure::Panic { place, message })
    } else if bytes > limits.memory_bytes {
        Err(Failure::Memory(bytes))
    } else if time > limits.time {
        Err(Failure::Time(time))
    } else {
        Ok(marks)
    };
    (outcome, time, bytes)
}

/// Runs one input; a slow one again, before it counts as slow.
pub fn one(target: &Target, input: &[u8], limits: Limits) -> (Result<Marks, Failure>, Duration, usize) {
    let mut best = once(target, input, limits);
    for _ in 0..TIMED_AGAIN {
        if !matches!(best.0, Err(Failure::Time(_))) {
            break;
        }
        let again = once(target, input, limits);
        if again.1 < best.1 {
            best = again;
        }
    }
    best
}

/// Runs a target for a while, from its seeds and these inputs. Call it on a thread whose stack is [`STACK_BYTES`].
pub fn run(target: &Target, inputs: Vec<Vec<u8>>, options: &Options) -> std::io::Result<Outcome> {
    std::fs::create_dir_all(&options.findings)?;
    // What ends the process (a stack that overflows, an allocation that fails) leaves its input here.
    let in_progress = options.findings.join(format!("{}-in-progress", target.name));
    let mut runner = Runner {
        target,
        options,
        outcome: Outcome::default(),
        known: BTreeMap::new(),
        current: std::fs::File::create(&in_progress)?,
    };
    for input in inputs.into_iter().chain((target.seeds)()) {
        runner.input(&input)?;
    }
    let mut dice = Dice::new(options.seed);
    let began = Instant::now();
    let mut told = began;
    while began.elapsed() < options.time {
        let kept = &runner.outcome.pool.kept;
        let latest = if dice.below(LATEST_ONE_IN) == 0 { kept.len().saturating_sub(LATEST) } else { 0 };
        let any = |dice: &mut Dice, from: usize| {
            kept.get(from + dice.below((kept.len() - from) as u64) as usize).map_or(&[][..], |(input, _)| input)
        };
        // Mostly of two the shorter one: it runs faster, and more of it matters.
        let pick = |dice: &mut Dice, from: usize| {
            let (left, right) = (any(dice, from), any(dice, from));
            if left.len() <= right.len() || dice.below(3) == 0 { left } else { right }
        };
        let (input, other) = (pick(&mut dice, latest), pick(&mut dice, 0));
        let mut made = (target.mutate)(&mut dice, input, other);
        made.truncate(INPUT_BYTES_MAX);
        runner.input(&made)?;
        if options.tells && told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            println!("{}", line(target, &runner.outcome, began.elapsed()));
        }
    }
    if options.tells {
        println!("{}, seed {}", line(target, &runner.outcome, began.elapsed()), options.seed);
    }
    std::fs::remove_file(in_progress)?;
    Ok(runner.outcome)
}

/// One line of progress.
fn line(target: &Target, outcome: &Outcome, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "{}: {} inputs in {seconds:.0} s ({:.0}/s), corpus {} with {} marks, slowest {} ms, heaviest {} MiB, {} findings",
        target.name,
        outcome.inputs,
        outcome.inputs as f64 / seconds,
        outcome.pool.kept.len(),
        outcome.pool.marks(),
        outcome.slowest.as_millis(),
        outcome.heaviest_bytes >> 20,
        outcome.findings.len(),
    )
}

struct Runner<'run> {
    target: &'run Target,
    options: &'run Options,
    outcome: Outcome,
    known: BTreeMap<String, usize>,
    current: std::fs::File,
}

impl Runner<'_> {
    fn input(&mut self, input: &[u8]) -> std::io::Result<()> {
        self.current.seek(SeekFrom::Start(0))?;
        self.current.write_all(input)?;
        self.current.set_len(input.len() as u64)?;
        self.outcome.inputs += 1;
        let (outcome, time, bytes) = one(self.target, input, self.options.limits);
        match outcome {
            Ok(marks) => {
                self.outcome.slowest = self.outcome.slowest.max(time);
                self.outcome.heaviest_bytes = self.outcome.heaviest_bytes.max(bytes);
                if marks.all_steps() <= BRED_WITHIN {
                    self.outcome.pool.offer(input, marks.seen);
                }
            }
            Err(failure) => self.found(input, failure)?,
        }
        Ok(())
    }

    /// Writes a finding that is new, as short as it can be made.
    fn found(&mut self, input: &[u8], failure: Failure) -> std::io::Result<()> {
        let key = failure.key();
        let times = self.known.entry(key.clone()).or_default();
        *times += 1;
        if *times > 1 {
            return Ok(());
        }
        let (target, limits, began) = (self.target, self.options.limits, Instant::now());
        let shortest = shrink(input, |shorter| {
            began.elapsed() < SHRINK_TIME && once(target, shorter, limits).0.is_err_and(|other| other.key() == key)
        });
        let name = format!("{}-{}", target.name, &blake3::hash(&shortest).to_hex()[..12]);
        let path = self.options.findings.join(name);
        std::fs::write(&path, &shortest)?;
        println!("{}: FINDING after {} inputs, seed {}: {failure}", target.name, self.outcome.inputs, self.options.seed);
        println!("  {} bytes in {}", shortest.len(), path.display());
        println!("  {}", shown(&shortest));
        self.outcome.findings.push((failure, path));
        Ok(())
    }
}

/// The beginning of an input, for people.
fn shown(input: &[u8]) -> String {
    const CHARACTERS: usize = 600;
    String::from_utf8_lossy(input).chars().take(CHARACTERS).collect::<String>().escape_debug().to_string()
}

/// The inputs of a folder that fail, by name.
pub fn replay(target: &Target, inputs: &[(String, Vec<u8>)], limits: Limits) -> Vec<(String, Failure)> {
    let failed = inputs.iter().filter_map(|(name, input)| Some((name.clone(), one(target, input, limits).0.err()?)));
    failed.collect()
}

/// Runs something on a thread whose stack is [`STACK_BYTES`].
pub fn on_a_small_stack<Out: Send>(work: impl FnOnce() -> Out + Send) -> Out {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.unwrap().join().unwrap()
    })
}

/// Where a finding of this process lies, while it runs.
pub fn in_progress(findings: &Path, target: &Target) -> PathBuf {
    findings.join(format!("{}-in-progress", target.name))
}
