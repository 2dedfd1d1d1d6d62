//! `karwan demo`: five phones, two teams, one server, 300 interviews, and what becomes of them.
//!
//! [`story`] says what happens, in order, through the commands and client calls that a user has. [`names`], [`people`] and [`answers`]
//! make up the families; [`phone`] and [`crate::process`] are who takes part; [`homecoming`] is a team's sync, [`ledger`] counts what was lost; [`told`] is what is printed.

pub mod answers;
pub mod homecoming;
pub mod ledger;
pub mod names;
pub mod people;
pub mod phone;
pub mod progress;
pub mod story;
pub mod told;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::random;
use crate::organisation::hex;
use crate::problem::Problem;
use story::Story;

/// The entity list of families.
pub const HOUSEHOLDS: &str = "households";
/// The entity list of their members.
pub const PEOPLE: &str = "people";
/// How long interviews that are being written may take to end after Ctrl-C.
const END_WAIT: Duration = Duration::from_secs(5);

/// How the demo is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where; a temporary folder where nothing is said.
    pub folder: Option<PathBuf>,
    /// End when everything was shown.
    pub exit: bool,
    /// Also write what is printed, as JSON.
    pub report: Option<PathBuf>,
}

/// Runs the demo to its end, or until Ctrl-C.
pub fn run(options: &Options) -> Result<(), Problem> {
    let folder = DemoFolder::make(options.folder.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stopping = Arc::new(AtomicBool::new(false));
    let outcome = runtime.block_on(perform(options, &folder, &stopping));
    stopping.store(true, Ordering::SeqCst);
    runtime.shutdown_timeout(END_WAIT);
    outcome
}

async fn perform(options: &Options, folder: &DemoFolder, stopping: &Arc<AtomicBool>) -> Result<(), Problem> {
    let played = async {
        let mut story = Story::begin(&folder.path, stopping.clone()).await?;
        let report = story.play().await?;
        Ok::<_, Problem>((story, report))
    };
    let (story, report) = tokio::select! {
        played = played => played?,
        () = crate::serve::asked_to_end() => {
            let error = "the demo was ended before it was over";
            return Err(Problem::new(Problem::FAILED, "interrupted", error, "Start it again: karwan demo."));
        }
    };
    say(&told::text_of(&report));
    if let Some(file) = &options.report {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    let judged = report.judge();
    if !options.exit && judged.is_ok() {
        say(told::staying(folder.temporary));
        crate::serve::asked_to_end().await;
    }
    story.end().await;
    judged
}

/// On standard output. Whoever reads may have gone.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// Where the demo lives; a temporary folder goes with it.
struct DemoFolder {
    path: PathBuf,
    temporary: bool,
}

impl DemoFolder {
    fn make(named: Option<&Path>) -> Result<Self, Problem> {
        let (path, temporary) = match named {
            Some(path) => (std::path::absolute(path)?, false),
            None => (std::env::temp_dir().join(format!("karwan-demo-{}", hex(&random::<4>()))), true),
        };
        if std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            let error = format!("{} is not empty", path.display());
            return Err(Problem::input("exists", error, "Choose a folder that does not exist yet."));
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, temporary })
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if self.temporary {
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}
