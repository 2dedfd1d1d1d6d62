//! Commands about the organisation itself: its folder and server, people, caseloads, invitations, devices.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::arguments::{CaseloadCommand, DevicesArguments, DevicesCommand, EntitleArguments, ProjectionCommand, UserCommand};
use super::output::{Answer, hint, isolated, listed, say};
use super::terminal;
use crate::control::ask;
use crate::organisation::Organisation;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Request;
use crate::serve::{Running, asked_to_end};

/// Threads of a server that wait for the disk, at most.
const BLOCKING_THREADS_MAX: usize = 24;

/// Makes an organisation.
pub(super) fn init(folder: &Path, name: Option<&str>, database: Option<&str>) -> Result<Answer, Problem> {
    let named = folder.file_name().and_then(|name| name.to_str()).unwrap_or("organisation");
    let founded = Organisation::init_with(folder, name.unwrap_or(named), database)?;
    let root_key = std::path::absolute(&founded.root_key)?;
    let (org, root_key) = (folder.display(), root_key.display().to_string());
    let text = format!(
        "The organisation is at {org}.\n\n\
        Root key:  {root_key}\n\
        \x20          Take it away from this machine and keep it safe: only it can name a new administrator or server.\n\
        Console:   sign in as {} with {}\n\
        \x20          This is shown once.\n\n\
        Next:\n  karwan caseload add {org} NAME\n  karwan form add {org} FILE.xlsx --caseload NAME\n  karwan serve {org}\n  \
        karwan invite {org} --role enumerator --caseload NAME",
        founded.administrator, founded.password
    );
    let value = json!({"root_key": root_key, "administrator": founded.administrator, "password": founded.password});
    Ok(Answer::new(value, text))
}

/// Runs the server until it is asked to end.
pub(super) fn serve(folder: &Path, listen: SocketAddr, console: SocketAddr, json: bool) -> Result<Answer, Problem> {
    // Each holds memory of its own, and more than a few wait for one another: for the one writer, and for the disk.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build()?;
    runtime.block_on(async {
        let ending = asked_to_end();
        let running = Running::start(folder, listen, console).await?;
        let ready = &running.ready;
        if json {
            say(&serde_json::to_string(ready)?);
        } else {
            say(&format!("Devices sync at {}\nConsole at {}\nCtrl-C ends the server.", ready.sync, ready.console));
        }
        ending.await;
        running.stop().await;
        Ok(Answer::nothing())
    })
}

/// Shows where attachments are kept, or says where.
pub(super) fn attachments(folder: &Path, store: Option<String>) -> Result<Answer, Problem> {
    if store.is_some() {
        hint("Trying the store out.");
    }
    let value = ask(folder, &Request::Attachments { store })?;
    let (kept, bytes) = (&value["attachments"], value["bytes"].as_u64().unwrap_or(0).div_ceil(1024));
    let text = match value["store"].as_str() {
        Some(address) => {
            format!("{kept} attachments, {bytes} KiB, in {address}\n    {} of them still in the folder", value["in_folder"])
        }
        None => format!("{kept} attachments, {bytes} KiB, in the folder {}", folder.join("attachments").display()),
    };
    Ok(Answer::new(value, text))
}

/// People.
pub(super) fn user(command: UserCommand) -> Result<Answer, Problem> {
    match command {
        UserCommand::Add { organisation, name, role, caseload, password_stdin } => {
            let password = if password_stdin {
                Some(terminal::line()?)
            } else if terminal::is_terminal() {
                terminal::new_password()?
            } else {
                None
            };
            let signs_in = if password.is_some() { " and may sign in to the console" } else { "" };
            let text = format!("{} is {role}{signs_in}.", isolated(&name));
            let value = ask(&organisation, &Request::AddPerson { name, role, caseloads: caseload, password })?;
            Ok(Answer::new(value, text))
        }
        UserCommand::List { organisation } => {
            let value = ask(&organisation, &Request::People)?;
            let columns = [
                ("name", "NAME"),
                ("role", "ROLE"),
                ("caseloads", "CASELOADS"),
                ("signs_in", "SIGNS IN"),
                ("disabled", "DISABLED"),
                ("person", "PERSON"),
            ];
            let text = listed(&value, &columns, "people", "Add one: karwan user add ORG NAME --role ROLE.");
            Ok(Answer::new(value, text))
        }
        UserCommand::Grant(arguments) => entitle(arguments, false, true),
        UserCommand::Withdraw(arguments) => entitle(arguments, false, false),
        UserCommand::Disable { organisation, name } => {
            let text = format!("{} may do nothing from now on.", isolated(&name));
            Ok(Answer::new(ask(&organisation, &Request::DisablePerson { name })?, text))
        }
    }
}

/// Caseloads.
pub(super) fn caseload(command: CaseloadCommand) -> Result<Answer, Problem> {
    match command {
        CaseloadCommand::Add { organisation, name } => {
            let text = format!("The caseload {} is there.", isolated(&name));
            Ok(Answer::new(ask(&organisation, &Request::AddCaseload { name })?, text))
        }
        CaseloadCommand::List { organisation } => {
            let value = ask(&organisation, &Request::Caseloads)?;
            let columns = [("name", "NAME"), ("entries", "LOG ENTRIES"), ("caseload", "CASELOAD")];
            let text = listed(&value, &columns, "caseloads", "Add one: karwan caseload add ORG NAME.");
            Ok(Answer::new(value, text))
        }
    }
}

/// Longest life that is read, in units; the organisation has its own limit.
const LIFE_MAX: i64 = 1_000_000;

/// `7d`, `12h`, `30m`, `60s` in milliseconds.
pub(super) fn life_ms(text: &str) -> Result<i64, String> {
    let unit_ms = match text.chars().last() {
        Some('d') => 86_400_000,
        Some('h') => 3_600_000,
        Some('m') => 60_000,
        Some('s') => 1_000,
        _ => 0,
    };
    let count = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<i64>().ok());
    let life = count.filter(|count| (1..=LIFE_MAX).contains(count) && unit_ms > 0).map(|count| count * unit_ms);
    life.ok_or_else(|| "expected a number of days, hours, minutes or seconds, such as 7d, 12h, 30m or 60s".to_owned())
}

/// Invites a device.
pub(super) fn invite(
    folder: &Path,
    role: String,
    caseloads: Vec<String>,
    life_ms: i64,
    addresses: Vec<String>,
) -> Result<Answer, Problem> {
    let value = ask(folder, &Request::Invite { role, caseloads, life_ms, addresses })?;
    let invitation = value["invitation"].as_str().unwrap_or_default();
    let places: Vec<&str> = value["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text = format!(
        "{}\n{invitation}\n\nUsed once, until {}. The device finds the server at {}.\n\
        Next, on the device:\n  karwan device enrol DEV INVITATION --name NAME --person PERSON",
        terminal::qr_code(invitation),
        value["expires"].as_str().unwrap_or_default(),
        places.join(" or "),
    );
    Ok(Answer::new(value, text))
}

fn entitle(arguments: EntitleArguments, of_device: bool, granted: bool) -> Result<Answer, Problem> {
    let EntitleArguments { organisation, name, caseload: caseloads } = arguments;
    let what = if granted { "has" } else { "has no more" };
    let text = format!("{} {what} {}. Devices hear of it at their next sync.", isolated(&name), isolated(&caseloads.join(", ")));
    Ok(Answer::new(ask(&organisation, &Request::Entitle { of_device, name, caseloads, granted })?, text))
}

/// Devices.
pub(super) fn devices(arguments: DevicesArguments) -> Result<Answer, Problem> {
    match arguments.command {
        Some(DevicesCommand::Revoke { organisation, device }) => {
            let text = format!("{} is revoked. What it sent before counts; anything else waits.", isolated(&device));
            return Ok(Answer::new(ask(&organisation, &Request::RevokeDevice { device })?, text));
        }
        Some(DevicesCommand::Grant(arguments)) => return entitle(arguments, true, true),
        Some(DevicesCommand::Withdraw(arguments)) => return entitle(arguments, true, false),
        None => {}
    }
    let value = ask(&arguments.organisation.unwrap_or_default(), &Request::Query(Query::Devices))?;
    let columns = [
        ("name", "NAME"),
        ("person", "PERSON"),
        ("role", "ROLE"),
        ("caseloads", "CASELOADS"),
        ("held", "HOLDS"),
        ("last_sync", "LAST SYNC"),
        ("unsent", "WAITING"),
        ("revoked", "REVOKED"),
        ("copied", "COPIED"),
        ("short_code", "CODE"),
        ("device", "DEVICE"),
    ];
    let text = listed(&value, &columns, "devices", "Invite one: karwan invite ORG --role enumerator --caseload NAME.");
    Ok(Answer::new(value, text))
}

/// Projections.
pub(super) fn projection(command: ProjectionCommand) -> Result<Answer, Problem> {
    let ProjectionCommand::Rebuild { organisation } = command;
    hint("Reading all logs again.");
    let value = ask(&organisation, &Request::RebuildProjection)?;
    let text = format!("{} log entries were read.", value["entries"]);
    Ok(Answer::new(value, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_number_and_a_unit() {
        assert_eq!(life_ms("7d"), Ok(604_800_000));
        assert_eq!(life_ms("1s"), Ok(1_000));
        for bad in ["", "d", "7", "0h", "-1h", "7 days", "9999999999d"] {
            assert!(life_ms(bad).is_err(), "{bad}");
        }
    }
}
