//! The command line: arguments into requests and client calls, answers into text or JSON, problems into exit statuses.

mod arguments;
mod backup;
mod device;
mod device_arguments;
mod forms;
mod media;
mod organisation;
pub(crate) mod output;
mod records;
mod template;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::problem::Problem;
use arguments::{Arguments, Command};
use output::Answer;

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            output::say(error.render().to_string().trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let json = std::env::args().any(|argument| argument == "--json");
            if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json {
                output::hint(error.render().to_string().trim_end());
                return ExitCode::from(Problem::USAGE);
            }
            return fail(&misunderstood(&error), json);
        }
    };
    let json = arguments.json;
    terminal::log_to_stderr(matches!(arguments.command, Command::Serve { .. }));
    match run(arguments.command, json) {
        Ok(answer) => {
            answer.print(json);
            match answer.problem {
                Some(problem) => fail(&problem, json),
                None => ExitCode::SUCCESS,
            }
        }
        Err(problem) => fail(&problem, json),
    }
}

fn fail(problem: &Problem, json: bool) -> ExitCode {
    output::complain(problem, json);
    ExitCode::from(problem.status)
}

/// What the parser says, in a line and a mend.
fn misunderstood(error: &clap::Error) -> Problem {
    let rendered = error.render().to_string();
    let said: Vec<&str> = rendered.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let said = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "expected a command".to_owned()
    } else {
        said.join(" ")
    };
    let tip = rendered.lines().map(str::trim).find(|line| line.starts_with("tip:") || line.starts_with("[possible values"));
    let usage = rendered.lines().find(|line| line.starts_with("Usage:")).unwrap_or("Usage: karwan COMMAND");
    let tip = tip.filter(|tip| !said.contains(tip)).map(|tip| format!("{tip}. ")).unwrap_or_default();
    Problem::new(Problem::USAGE, "usage", said.trim_start_matches("error: "), format!("{tip}{usage}. --help tells more."))
}

fn run(command: Command, json: bool) -> Result<Answer, Problem> {
    match command {
        Command::Init { organisation, name, database } => organisation::init(&organisation, name.as_deref(), database.as_deref()),
        Command::Serve { organisation, listen, console } => organisation::serve(&organisation, listen, console, json),
        Command::User(command) => organisation::user(command),
        Command::Caseload(command) => organisation::caseload(command),
        Command::Programme(command) => forms::programme(command),
        Command::Form(command) => forms::form(command),
        Command::Invite { organisation, role, caseload, expires, address } => {
            organisation::invite(&organisation, role, caseload, expires, address)
        }
        Command::Records(arguments) => records::records(arguments),
        Command::Assign { organisation, records, to, due } => records::assign(&organisation, records, to, due),
        Command::Review(command) => records::review(command),
        Command::Devices(arguments) => organisation::devices(arguments),
        Command::Export { organisation, form, csv } => records::export(&organisation, form, &csv),
        Command::Projection(command) => organisation::projection(command),
        Command::Demo { folder, exit, report } => {
            crate::demo::run(&crate::demo::Options { folder, exit, report }).map(|()| Answer::nothing())
        }
        Command::Device(command) => device::run(command, json),
        Command::Move { organisation, record, to, person } => records::move_to(&organisation, record, to, person),
        Command::Erase { organisation, record, part, reason, person } => {
            records::erase(&organisation, record, part, reason, person)
        }
        Command::Attachments { organisation, store } => organisation::attachments(&organisation, store),
        Command::Backup { organisation, file } => backup::backup(&organisation, &file),
        Command::Restore { file, organisation, keys, database } => {
            backup::restore(&file, keys, &organisation, database.as_deref())
        }
        Command::Recovery(command) => backup::recovery(command),
        Command::Bench(arguments) => {
            let told = crate::bench::run(&arguments.options())?;
            Ok(Answer::new(told.value, told.text))
        }
    }
}
