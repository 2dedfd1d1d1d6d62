//! Commands about forms: check, publish, trace, read, and a template for answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karwan_form::interview::Context;
use karwan_form::model::{ControlKind, Form, NodeKind};
use karwan_form::outline::{language_index, outline};
use karwan_form::trace::{TraceError, trace};
use karwan_form::xform;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::arguments::{FormCommand, ProgrammeCommand};
use super::media::MediaFolder;
use super::output::{Answer, isolated, listed};
use super::template::template;
use super::terminal;
use crate::clock::{now_ms, random};
use crate::control::ask;
use crate::organisation::forms::read_form;
use crate::problem::Problem;
use crate::request::Request;

/// Forms.
pub(super) fn form(command: FormCommand) -> Result<Answer, Problem> {
    match command {
        FormCommand::Check { files } => check(&files),
        FormCommand::Add { organisation, file, caseload, media } => {
            let (file, media) = (std::path::absolute(file)?, media.map(std::path::absolute).transpose()?);
            let value = ask(&organisation, &Request::AddForm { file, caseload, media })?;
            let told = |key: &str| isolated(value[key].as_str().unwrap_or_default());
            let text = format!("{} ({}) is published in {}.", told("title"), told("form"), told("caseload"));
            Ok(Answer::new(value, text))
        }
        FormCommand::List { organisation } => {
            let value = ask(&organisation, &Request::Forms)?;
            let columns =
                [("form", "FORM"), ("version", "VERSION"), ("title", "TITLE"), ("caseload", "CASELOAD"), ("retired", "RETIRED")];
            let text = listed(&value, &columns, "forms", "Publish one: karwan form add ORG FILE --caseload NAME.");
            Ok(Answer::new(value, text))
        }
        FormCommand::Retire { organisation, form } => {
            let value = ask(&organisation, &Request::RetireForm { form })?;
            Ok(Answer::new(value, "Retired: devices begin no new interviews with it after their next sync."))
        }
        FormCommand::Trace { form, media, language, now } => {
            trace_form(&form, media.as_deref(), language.as_deref(), now.as_deref())
        }
        FormCommand::Template { form, language } => {
            let form = read(&form)?;
            let language = known_language(&form, language.as_deref())?;
            let text = template(&form, language);
            Ok(Answer::new(json!({"template": text}), text))
        }
        FormCommand::Convert { form, out } => {
            let written = xform::write(&read(&form)?);
            std::fs::write(&out, written).map_err(|error| {
                let mend = "Give a path in a folder that is there and that you may write to.";
                Problem::new(Problem::FAILED, "unwritable", format!("{} cannot be written: {error}", out.display()), mend)
            })?;
            let text = format!("Written: {}.", out.display());
            Ok(Answer::new(json!({"xform": out.display().to_string()}), text))
        }
        FormCommand::Show { form, language } => {
            let form = read(&form)?;
            let language = known_language(&form, language.as_deref())?;
            let text = outline(&form, form.languages.get(language).map(String::as_str));
            Ok(Answer::new(json!({"outline": text}), text))
        }
    }
}

/// Programmes.
pub(super) fn programme(command: ProgrammeCommand) -> Result<Answer, Problem> {
    match command {
        ProgrammeCommand::List => {
            let rows = crate::programmes::PROGRAMMES.iter().map(|programme| {
                let forms: Vec<&str> = programme.forms.iter().map(|(file, _)| *file).collect();
                json!({"programme": programme.name, "title": programme.title, "summary": programme.summary, "forms": forms})
            });
            let value: Value = rows.collect();
            let columns = [("programme", "PROGRAMME"), ("title", "TITLE"), ("summary", "FOR")];
            let text = listed(&value, &columns, "programmes", "");
            Ok(Answer::new(value, text))
        }
        ProgrammeCommand::Add { organisation, name, caseload } => {
            let value = ask(&organisation, &Request::AddProgramme { name, caseload })?;
            let count = value["forms"].as_array().map_or(0, Vec::len);
            Ok(Answer::new(value, format!("{count} forms are published. Devices get them at their next sync.")))
        }
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(file).map_err(|error| {
        let what = format!("{} cannot be read: {error}", file.display());
        Problem::input("unreadable", what, "Give the path of a workbook (.xlsx) or an XForm (.xml).")
    })
}

fn file_name(file: &Path) -> String {
    file.file_name().and_then(|name| name.to_str()).unwrap_or("form.xlsx").to_owned()
}

fn read(file: &Path) -> Result<Form, Problem> {
    read_form(&bytes_of(file)?, &file_name(file))
}

/// Index of the language that is asked for; the form's own where none is.
fn known_language(form: &Form, wanted: Option<&str>) -> Result<usize, Problem> {
    let Some(wanted) = wanted else { return Ok(form.default_language) };
    language_index(form, wanted).ok_or_else(|| no_language(form, wanted))
}

/// The form has no such language.
pub(super) fn no_language(form: &Form, wanted: &str) -> Problem {
    let mend = if form.languages.is_empty() {
        "The form is not translated: leave --language out.".to_owned()
    } else {
        format!("Give one of: {}.", form.languages.join(", "))
    };
    Problem::input("no-language", format!("the form has no language {wanted}"), mend)
}

/// All files, each understood or with all its faults.
fn check(files: &[PathBuf]) -> Result<Answer, Problem> {
    let (mut understood, mut faulty, mut count) = (Vec::new(), 0, 0);
    let mut faults_told = Vec::new();
    for file in files {
        faulty += 1;
        let bytes = match bytes_of(file) {
            Ok(bytes) => bytes,
            Err(problem) if files.len() > 1 => {
                count += 1;
                faults_told.push(format!("{}. Mend: {}", problem.error, problem.mend));
                continue;
            }
            Err(problem) => return Err(problem),
        };
        match karwan_form::read(&bytes, &file_name(file)) {
            Ok(form) => {
                faulty -= 1;
                understood.push(summary(file, &form));
            }
            Err(faults) => {
                count += faults.len();
                faults_told.extend(faults.iter().map(|fault| format!("{}: {fault}", file.display())));
            }
        }
    }
    let lines: Vec<&str> = understood.iter().filter_map(|summary| summary["text"].as_str()).collect();
    let mut answer = Answer::new(Value::Array(understood.clone()), lines.join("\n"));
    if faulty > 0 {
        let faults = if count == 1 { "fault" } else { "faults" };
        let whole = if files.len() == 1 { String::new() } else { format!(" in {faulty} of {} files", files.len()) };
        let error = format!("{}\n{count} {faults}{whole}", faults_told.join("\n"));
        answer.problem = Some(Problem::input("form-faults", error, "Mend the workbook as each line says, and check again."));
        if understood.is_empty() {
            answer.value = Value::Null;
        }
    }
    Ok(answer)
}

/// What was understood of a form.
fn summary(file: &Path, form: &Form) -> Value {
    let asked = |kind: ControlKind| !matches!(kind, ControlKind::Group | ControlKind::Repeat | ControlKind::Note);
    let count = |fits: &dyn Fn(&karwan_form::model::Node) -> bool| form.nodes.iter().skip(1).filter(|node| fits(node)).count();
    let questions =
        count(&|node| node.kind == NodeKind::Value && node.control.as_ref().is_some_and(|control| asked(control.kind)));
    let calculations = count(&|node| node.kind == NodeKind::Value && node.bind.calculate.is_some());
    let groups = count(&|node| node.kind == NodeKind::Group && node.control.is_some());
    let repeats = count(&|node| matches!(node.kind, NodeKind::Repeat { .. }));
    let entities: Vec<&str> = form.entities.iter().map(|entity| entity.list.as_str()).collect();
    let languages = if form.languages.is_empty() { "no translations".to_owned() } else { form.languages.join(", ") };
    let version = if form.version.is_empty() { String::new() } else { format!(" version {}", form.version) };
    let mut text = format!(
        "{}: {} ({}{version}), {}; {questions} questions, {calculations} calculations, {groups} groups, {repeats} repeats",
        file.display(),
        isolated(&form.title),
        form.id,
        isolated(&languages),
    );
    if !entities.is_empty() {
        text.push_str(&format!(", entities: {}", entities.join(", ")));
    }
    for warning in &form.warnings {
        text.push_str(&format!("\n  warning: {warning}"));
    }
    json!({
        "file": file.display().to_string(), "form": form.id, "version": form.version, "title": form.title,
        "languages": form.languages, "questions": questions, "calculations": calculations, "groups": groups, "repeats": repeats,
        "entities": entities, "warnings": form.warnings, "text": text,
    })
}

fn trace_form(file: &Path, media: Option<&Path>, language: Option<&str>, now: Option<&str>) -> Result<Answer, Problem> {
    let form = read(file)?;
    let language = match language {
        Some(wanted) => form.languages.get(known_language(&form, Some(wanted))?).cloned(),
        None => None,
    };
    let (now_ms, offset_minutes) = match now {
        Some(text) => moment(text)?,
        None => (now_ms(), terminal::offset_minutes()),
    };
    let mut context = Context { offset_minutes, ..Context::at(now_ms, random()) };
    if let Some(folder) = media {
        context.lists = Arc::new(MediaFolder::new(folder));
    }
    let (events, states) = (std::io::stdin().lock(), std::io::stdout().lock());
    match trace(Arc::new(form), context, language.as_deref(), events, states) {
        Ok(()) => Ok(Answer::nothing()),
        // Whoever reads has seen enough.
        Err(TraceError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Answer::nothing()),
        Err(TraceError::Io(error)) => Err(error.into()),
        Err(error) => Err(Problem::input("trace", error.to_string(), "See the events: contract of the form trace.")),
    }
}

/// An RFC 3339 time in milliseconds, and its offset in minutes.
fn moment(text: &str) -> Result<(i64, i32), Problem> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Problem::input("now", format!("{text} is no time"), "Give it as RFC 3339, such as 2026-11-23T10:00:00Z."))?;
    let ms = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    Ok((ms, i32::from(time.offset().whole_minutes())))
}
