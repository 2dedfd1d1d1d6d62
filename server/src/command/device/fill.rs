//! `karwan device fill`: an interview from an answers file, from JSON lines, or question by question.

use std::io::BufRead;
use std::path::Path;

use karwan_client::answer_file::{AnswerFileError, AnswerLine, parse, parse_json};
use karwan_client::{ClientError, Collect, Device, Filling, RecordId};
use serde_json::json;

use super::super::device_arguments::FillArguments;
use super::super::forms::no_language;
use super::super::output::{Answer, say};
use super::{draft_of, named, open, question, written};
use crate::problem::Problem;

/// Longest line of answers that is read, in bytes.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Fills a form.
pub(super) fn fill(arguments: &FillArguments, json: bool) -> Result<Answer, Problem> {
    let device = open(&arguments.device)?;
    match &arguments.answers {
        None => {
            let collect = begin(&device, arguments, Filling::Journalled)?;
            question::ask(collect, arguments.draft, &named(&arguments.device.folder))
        }
        Some(file) if file == Path::new("-") => from_input(&device, arguments, json),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
            Ok(written(one(&device, arguments, &parse(&text).map_err(ClientError::from)?)?))
        }
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Problem {
    let what = format!("{} cannot be read: {error}", file.display());
    Problem::input("unreadable", what, "Give the path of a file with one name=value a line.")
}

/// Begins an interview, or goes on with a draft.
fn begin(device: &Device, arguments: &FillArguments, filling: Filling) -> Result<Collect, Problem> {
    let mut collect = if let Some(record) = &arguments.resume {
        device.resume(draft_of(record)?)?
    } else {
        let person = device.person_called(arguments.person.as_deref())?;
        device.start(arguments.form.as_deref().unwrap_or_default(), None, person, filling)?
    };
    if let Some(wanted) = &arguments.language {
        let form = collect.interview().form().clone();
        let index = karwan_form::outline::language_index(&form, wanted).ok_or_else(|| no_language(&form, wanted))?;
        if let Some(language) = form.languages.get(index) {
            collect.set_language(language)?;
        }
    }
    Ok(collect)
}

/// One interview from its lines.
fn one(device: &Device, arguments: &FillArguments, lines: &[AnswerLine]) -> Result<RecordId, Problem> {
    let mut collect = begin(device, arguments, Filling::AtOnce)?;
    collect.apply(lines)?;
    Ok(if arguments.draft { collect.keep_draft()? } else { collect.finalize()? })
}

/// Lines of one interview, or one interview a line as JSON; which it is shows at the first character.
fn from_input(device: &Device, arguments: &FillArguments, json: bool) -> Result<Answer, Problem> {
    let mut input = std::io::stdin().lock();
    let mut text = String::new();
    while let Some(line) = next_line(&mut input)? {
        if line.trim_start().starts_with('{') {
            return from_json_lines(device, arguments, line, &mut input, json);
        }
        text.push_str(&line);
        if !line.trim().is_empty() {
            break;
        }
    }
    while let Some(line) = next_line(&mut input)? {
        text.push_str(&line);
    }
    Ok(written(one(device, arguments, &parse(&text).map_err(ClientError::from)?)?))
}

fn from_json_lines(
    device: &Device,
    arguments: &FillArguments,
    first: String,
    input: &mut impl BufRead,
    json: bool,
) -> Result<Answer, Problem> {
    let (mut line, mut number) = (Some(first), 0u64);
    while let Some(text) = line {
        number += 1;
        if !text.trim().is_empty() {
            let lines = parse_json(&text).map_err(ClientError::from);
            let record = lines.map_err(Problem::from).and_then(|lines| one(device, arguments, &lines));
            let record = record.map_err(|problem| Problem {
                error: format!("interview {number}: {}", problem.error),
                mend: format!("{} The interviews before it are written.", problem.mend),
                ..problem
            })?;
            say(&if json { json!({"record": record.to_string()}).to_string() } else { record.to_string() });
        }
        line = next_line(input)?;
    }
    Ok(Answer::nothing())
}

/// A line with its end; nothing at the end of the input.
fn next_line(input: &mut impl BufRead) -> Result<Option<String>, Problem> {
    let mut bytes = Vec::new();
    let read = std::io::Read::take(&mut *input, LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.len() > LINE_BYTES_MAX {
        let error = format!("a line is longer than {LINE_BYTES_MAX} bytes");
        return Err(Problem::input("answers", error, "Give one interview a line."));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| ClientError::from(AnswerFileError::Json("the text is not UTF-8".to_owned())))?;
    Ok(Some(text))
}
