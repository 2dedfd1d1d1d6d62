//! What a form costs, step by step: reading it, starting an interview, an answer with all that follows from it, judging the whole.
//!
//!     cargo bench -p karwan-tests --bench forms
//!
//! The five forms of the shared folder, where it is at hand, and three big ones: 5,000 questions, 500 instances, 100,000 external choices.
//! Memory is what the form, its lists and one interview hold; a process's own is measured by `figures` and `peers`.

#![allow(clippy::panic, reason = "a form that cannot be read ends the bench")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use karwan_form::external;
use karwan_form::interview::{Context, Interview, Lists};
use karwan_form::model::{Form, Table};
use karwan_tests::form_oracle::shared;
use karwan_tests::form_speed::{SHAPES, places, text};
use karwan_tests::fuzzing::memory::{Counting, live_bytes};

#[global_allocator]
static MEMORY: Counting = Counting;

const FORMS: [&str; 5] = ["expert_profile", "health_assessment", "orientation_session", "rapid_needs", "return_registration"];
/// 2026-11-23T10:00:00Z.
const NOW_MS: i64 = 1_795_428_000_000;
/// An answer is one of these two, so that each one changes something.
const ANSWERS: [&str; 2] = ["1", "2"];

/// Attached files: those of a folder, or the rows of the big list.
#[derive(Clone)]
struct Files(Option<std::path::PathBuf>);

impl Lists for Files {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        let bytes = match &self.0 {
            Some(folder) => std::fs::read(folder.join(file)).ok()?,
            None => places().into_bytes(),
        };
        Some(Arc::new(external::read(&bytes, file)))
    }
}

fn context(lists: &Arc<Files>) -> Context {
    Context { lists: lists.clone(), ..Context::at(NOW_MS, [7; 32]) }
}

/// Questions that take both answers.
fn askable(interview: &mut Interview) -> Vec<String> {
    let places: Vec<String> = interview.nodes().into_iter().map(|node| node.reference).collect();
    places.into_iter().filter(|place| ANSWERS.iter().all(|answer| interview.set(place, answer).is_ok())).collect()
}

fn bench(criterion: &mut Criterion, name: &str, bytes: &[u8], file: &str, lists: Files) {
    let lists = Arc::new(lists);
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group.bench_function("load", |bencher| bencher.iter(|| karwan_form::read(bytes, file).map(|form| form.nodes.len())));
    let before = live_bytes();
    let form: Arc<Form> = match karwan_form::read(bytes, file) {
        Ok(form) => Arc::new(form),
        Err(faults) => panic!("{name}: {faults:?}"),
    };
    let start = || Interview::start(form.clone(), context(&lists)).unwrap_or_else(|error| panic!("{name}: {error}"));
    group.bench_function("start", |bencher| bencher.iter_batched(|| (), |()| start(), BatchSize::LargeInput));
    let mut interview = start();
    println!("{name}/memory: {} KiB", live_bytes().saturating_sub(before) / 1024);
    let places = askable(&mut interview);
    if !places.is_empty() {
        let mut number = 0;
        group.bench_function("answer", |bencher| {
            bencher.iter(|| {
                number += 1;
                let (round, at) = (number / places.len(), number % places.len());
                // What stopped being relevant refuses its answer, which takes its time too.
                let _ = interview.set(&places[at], ANSWERS[round % ANSWERS.len()]);
            });
        });
    }
    group.bench_function("validate", |bencher| bencher.iter(|| interview.violations().len()));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    if let Some(shared) = shared() {
        let forms = shared.join("forms");
        for name in FORMS {
            let file = format!("{name}.xlsx");
            let path = [forms.join(name).join(&file), forms.join(&file)].into_iter().find(|path| path.is_file());
            let Some(bytes) = path.and_then(|path| std::fs::read(path).ok()) else {
                println!("skipped: no {file} under {}", forms.display());
                continue;
            };
            bench(&mut criterion, name, &bytes, &file, Files(Some(media(&forms, name))));
        }
    }
    for shape in SHAPES {
        let form = text(shape).unwrap_or_default();
        bench(&mut criterion, shape, form.as_bytes(), "big.xml", Files(None));
    }
    criterion.final_summary();
}

/// Where a form's attached files are.
fn media(forms: &Path, name: &str) -> std::path::PathBuf {
    let own = forms.join(name).join("media");
    if own.is_dir() { own } else { forms.join("_attachments") }
}
