//! What the demo tells: first what a programme manager asks, then what an engineer asks, then how to look for oneself. The same as JSON.

use std::fmt::Write;
use std::path::PathBuf;

use karwan_linkage::solar;
use serde::Serialize;
use serde_json::Value;

use super::homecoming::Homecoming;
use super::ledger::{Balance, Count};
use super::story::{AGAIN_BY_DOCUMENT, AGAIN_BY_NAME, CASELOAD, SAME_QUESTION, team_of};
use crate::command::output::isolated;
use crate::problem::Problem;
use crate::process::Ports;

/// Solar Hijri months as Iran names them.
const MONTHS: [&str; 12] =
    ["Farvardin", "Ordibehesht", "Khordad", "Tir", "Mordad", "Shahrivar", "Mehr", "Aban", "Azar", "Dey", "Bahman", "Esfand"];

/// Everything that is told.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was collected, arrived, and was lost.
    pub balance: Balance,
    /// Records that the server has and some phone has not after everyone was home.
    pub missing_on_phones: usize,
    /// Disagreements of which both sides are kept.
    pub disagreements: usize,
    /// Pairs of registrations of one person.
    pub registered_twice: usize,
    /// What shows of the family that withdrew while its travel was booked.
    pub withdrawn_while_booked: Vec<String>,
    /// One of the disagreements.
    pub disagreement: Option<Disagreement>,
    /// What it cost.
    pub technical: Technical,
    /// How to look for oneself.
    pub access: Access,
    /// Commands to try.
    pub commands: Vec<Command>,
}

/// One disagreement.
#[derive(Debug, Clone, Serialize)]
pub struct Disagreement {
    /// The review item.
    pub item: String,
    /// The record.
    pub record: String,
    /// What the record is called.
    pub title: String,
    /// The question as the form words it.
    pub question: String,
    /// Both sides, the one shown first.
    pub values: Vec<Side>,
    /// Where to decide it.
    pub link: String,
}

/// One side of a disagreement.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// What was answered.
    pub value: String,
    /// Who answered.
    pub person: String,
    /// On which phone.
    pub device: String,
    /// Of which team.
    pub team: String,
    /// When, in UTC.
    pub time: String,
    /// Offset of the phone's clock.
    pub offset: String,
    /// The day in the Solar Hijri calendar, where the phone was.
    pub solar: String,
}

/// What it cost.
#[derive(Debug, Clone, Serialize)]
pub struct Technical {
    /// Changes that the phones sent.
    pub changes_up: u64,
    /// Bytes of frames for each of them.
    pub bytes_up_per_change: f64,
    /// Changes that the phones received.
    pub changes_down: u64,
    /// Bytes of frames for each of them.
    pub bytes_down_per_change: f64,
    /// Envelopes of which the server or a phone refused something.
    pub refused: usize,
    /// Syncs that broke off when the server was killed, all repeated.
    pub interrupted_syncs: usize,
    /// The slowest sync that had something to do.
    pub slowest_sync_ms: u64,
    /// Round trips of a sync with nothing new, the most of any phone.
    pub idle_round_trips: u64,
    /// Its bytes in both directions, the most of any phone.
    pub idle_bytes: u64,
    /// The whole demo until here.
    pub seconds: f64,
}

/// How to look for oneself.
#[derive(Debug, Clone, Serialize)]
pub struct Access {
    /// The console.
    pub console: String,
    /// Who signs in.
    pub name: String,
    /// With what.
    pub password: String,
    /// The command.
    pub program: PathBuf,
    /// The organisation's folder.
    pub organisation: PathBuf,
    /// A phone's folder.
    pub phone: PathBuf,
    /// Where the server listens.
    pub ports: Ports,
}

/// A command to try.
#[derive(Debug, Clone, Serialize)]
pub struct Command {
    /// As it is typed.
    pub line: String,
    /// What it does.
    pub does: &'static str,
}

impl Technical {
    /// From what the phones were told of their syncs.
    pub fn of(homecomings: &[Homecoming], idle: &Homecoming, seconds: f64) -> Self {
        let reports = || homecomings.iter().flat_map(|home| &home.reports);
        let each = |bytes: u64, changes: u64| (bytes as f64 / changes.max(1) as f64 * 10.0).round() / 10.0;
        let (changes_up, changes_down) = (reports().map(|r| r.changes_up).sum(), reports().map(|r| r.changes_down).sum());
        Self {
            changes_up,
            bytes_up_per_change: each(reports().map(|report| report.bytes_up).sum(), changes_up),
            changes_down,
            bytes_down_per_change: each(reports().map(|report| report.bytes_down).sum(), changes_down),
            refused: reports().chain(&idle.reports).map(|report| report.refused.len() + report.not_applied.len()).sum(),
            interrupted_syncs: homecomings.iter().map(|home| home.interrupted).sum(),
            slowest_sync_ms: reports().map(|report| report.ms).max().unwrap_or(0),
            idle_round_trips: idle.reports.iter().map(|report| report.round_trips).max().unwrap_or(0),
            idle_bytes: idle.reports.iter().map(|report| report.bytes_up + report.bytes_down).max().unwrap_or(0),
            seconds: (seconds * 10.0).round() / 10.0,
        }
    }
}

impl Report {
    /// From what was counted and what the server says. `told` names the record and the question of the disagreement that is told;
    /// `torn` is `records show` of the family that withdrew.
    pub fn new(
        balance: Balance,
        missing_on_phones: usize,
        items: &[Value],
        told: (&str, &str),
        torn: &Value,
        technical: Technical,
        access: Access,
    ) -> Self {
        let of_kind = |kind: &str| items.iter().filter(|item| text(item, "kind") == kind).count();
        let (record, question) = told;
        let item = items.iter().find(|item| text(item, "kind") == "conflict" && text(item, "record") == record);
        let disagreement = item.map(|item| Disagreement::of(item, question, &access.console));
        let commands = commands(&access, disagreement.as_ref());
        Self {
            balance,
            missing_on_phones,
            disagreements: of_kind("conflict"),
            registered_twice: of_kind("duplicate"),
            withdrawn_while_booked: statuses(torn),
            disagreement,
            technical,
            access,
            commands,
        }
    }

    /// Whether everything came out as promised.
    pub fn judge(&self) -> Result<(), Problem> {
        let faults: Vec<String> = [
            (self.balance.lost() > 0, format!("{} of what was collected is lost", self.balance.lost())),
            (self.missing_on_phones > 0, format!("{} records did not come to every phone", self.missing_on_phones)),
            (self.disagreements < SAME_QUESTION, format!("{} of {SAME_QUESTION} disagreements were kept", self.disagreements)),
            (
                self.registered_twice < AGAIN_BY_DOCUMENT.len() + AGAIN_BY_NAME.len(),
                format!("{} second registrations were found", self.registered_twice),
            ),
            (self.withdrawn_while_booked != ["withdrawn"], "a withdrawal does not stand".to_owned()),
            (self.disagreement.is_none(), "the disagreement to tell is missing".to_owned()),
            (self.technical.refused > 0, format!("{} envelopes were refused", self.technical.refused)),
            (self.technical.interrupted_syncs == 0, "the server's death interrupted no sync".to_owned()),
        ]
        .into_iter()
        .filter_map(|(wrong, what)| wrong.then_some(what))
        .collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Problem::new(Problem::FAILED, "promise", faults.join("; "), "Report this with the folder's server.log."))
    }
}

impl Disagreement {
    fn of(item: &Value, question: &str, console: &str) -> Self {
        let sides = item.get("values").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self {
            item: text(item, "item"),
            record: text(item, "record"),
            title: text(item, "title"),
            question: question.to_owned(),
            values: sides.iter().map(Side::of).collect(),
            link: format!("{console}/decide/{}", text(item, "item")),
        }
    }
}

impl Side {
    fn of(value: &Value) -> Self {
        let (time, offset) = (text(value, "time"), text(value, "offset"));
        Self {
            value: text(value, "value"),
            person: text(value, "author"),
            team: team_of(&text(value, "device")).to_owned(),
            device: text(value, "device"),
            solar: solar_day(&time, &offset).unwrap_or_default(),
            time,
            offset,
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The values of a record's status.
fn statuses(record: &Value) -> Vec<String> {
    let values = record.get("values").and_then(Value::as_object);
    let status = values.and_then(|values| values.iter().find(|(reference, _)| reference.ends_with("/status")));
    let entries = status.and_then(|(_, entries)| entries.as_array()).map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| text(entry, "value")).collect()
}

/// The Solar Hijri day on which it was this time where the clock stood at this offset.
fn solar_day(time: &str, offset: &str) -> Option<String> {
    let time = time::OffsetDateTime::parse(time, &time::format_description::well_known::Rfc3339).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let ahead = (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60;
    let ahead = if offset.starts_with('-') { -ahead } else { ahead };
    let (year, month, day) = solar::of_days((time.unix_timestamp() + ahead).div_euclid(86_400));
    Some(format!("{day} {} {year}", MONTHS.get(month as usize - 1)?))
}

/// A time without its seconds.
fn to_the_minute(time: &str) -> String {
    time.get(..16).map_or_else(|| time.to_owned(), |minute| format!("{minute}Z"))
}

/// A word of a command as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/_.:-".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn commands(access: &Access, disagreement: Option<&Disagreement>) -> Vec<Command> {
    let program = quoted(&shortened(&access.program).to_string_lossy());
    let organisation = quoted(&access.organisation.to_string_lossy());
    let phone = quoted(&access.phone.to_string_lossy());
    let Some(told) = disagreement else { return Vec::new() };
    let value = told.values.last().map(|side| side.value.clone()).unwrap_or_default();
    let item = quoted(&told.item);
    let line = |line: String, does: &'static str| Command { line, does };
    vec![
        line(format!("{program} review list {organisation}"), "what a person must decide"),
        line(
            format!(
                "{program} review resolve {organisation} {item} --value {} --note 'Called the family.' --as {}",
                quoted(&value),
                access.name
            ),
            "decides the one above",
        ),
        line(format!("{program} device sync {phone}"), "the phone hears of it"),
        line(format!("{program} device show {phone} {}", quoted(&told.record)), "and shows it, with both answers in its history"),
        line(
            format!("{program} records {organisation} --search {}", quoted("كريمي")),
            "finds کریمی too: letters are compared, not keyboards",
        ),
    ]
}

/// A path as it is typed from here.
fn shortened(path: &std::path::Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_owned(), |below| PathBuf::from(".").join(below))
}

/// Everything as people read it.
pub fn text_of(report: &Report) -> String {
    let mut out = String::new();
    manager(report, &mut out).and_then(|()| engineer(report, &mut out)).and_then(|()| look(report, &mut out)).unwrap_or_default();
    out
}

fn manager(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nFor the programme manager\n")?;
    writeln!(out, "  {:<14}{:>10}{:>10}{:>8}", "", "collected", "arrived", "lost")?;
    let balance = &report.balance;
    for (name, count) in [
        ("families", balance.families),
        ("people", balance.people),
        ("interviews", balance.interviews),
        ("answers", balance.answers),
    ] {
        let Count { collected, arrived, lost } = count;
        writeln!(out, "  {name:<14}{collected:>10}{arrived:>10}{lost:>8}")?;
    }
    writeln!(
        out,
        "\n  Collected is what the five phones wrote down when they said that it was safe; arrived is what the server shows."
    )?;
    writeln!(out, "  Disagreements kept, with both answers: {}", report.disagreements)?;
    writeln!(out, "  People registered twice, for a person to judge: {}", report.registered_twice)?;
    writeln!(
        out,
        "  Withdrawn in Mashhad while Tehran booked the travel: the family is {}",
        report.withdrawn_while_booked.join(", ")
    )?;
    if let Some(told) = &report.disagreement {
        writeln!(out, "\n  One disagreement: {}, \"{}\"", isolated(&told.title), told.question)?;
        for side in &told.values {
            let Side { value, person, device, team, time, offset, solar } = side;
            let time = to_the_minute(time);
            writeln!(out, "    {}  {}, team {team}, {device}, {time} ({offset}), {solar}", isolated(value), isolated(person))?;
        }
        writeln!(out, "    decide it: {}", told.link)?;
    }
    Ok(())
}

fn engineer(report: &Report, out: &mut String) -> std::fmt::Result {
    let technical = &report.technical;
    writeln!(out, "\nFor the engineer\n")?;
    let mut line = |name: &str, value: String| writeln!(out, "  {name:<52}{value:>12}");
    line(
        "changes up, bytes each (syncs that got through)",
        format!("{}, {:.0}", technical.changes_up, technical.bytes_up_per_change),
    )?;
    line("changes down, bytes each", format!("{}, {:.0}", technical.changes_down, technical.bytes_down_per_change))?;
    line("sync with nothing new: round trips, bytes", format!("{}, {}", technical.idle_round_trips, technical.idle_bytes))?;
    line("slowest sync, ms", technical.slowest_sync_ms.to_string())?;
    line("syncs that the server's death broke off", technical.interrupted_syncs.to_string())?;
    line("envelopes refused", technical.refused.to_string())?;
    line("seconds in all", format!("{:.1}", technical.seconds))
}

fn look(report: &Report, out: &mut String) -> std::fmt::Result {
    let access = &report.access;
    writeln!(out, "\nLook for yourself\n")?;
    writeln!(out, "  {}   sign in as {} with {}", access.console, access.name, access.password)?;
    writeln!(out, "\n  Five commands to try (caseload {CASELOAD}):\n")?;
    for command in &report.commands {
        writeln!(out, "    # {}\n    {}", command.does, command.line)?;
    }
    Ok(())
}

/// What is said when it stays up.
pub fn staying(temporary: bool) -> &'static str {
    if temporary { "\nUp until Ctrl-C; the folder goes with it." } else { "\nUp until Ctrl-C; the folder stays." }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_calendar_of_where_the_phone_was() {
        assert_eq!(solar_day("2026-11-22T06:42:00Z", "+03:30").as_deref(), Some("1 Azar 1405"));
        // In Iran it is the next day already.
        assert_eq!(solar_day("2026-03-20T21:00:00Z", "+03:30").as_deref(), Some("1 Farvardin 1405"));
        assert_eq!(solar_day("2026-03-20T20:00:00Z", "+03:30").as_deref(), Some("29 Esfand 1404"));
    }

    #[test]
    fn words_of_a_command_are_quoted_for_the_shell() {
        assert_eq!(quoted("/tmp/a-b/c.d"), "/tmp/a-b/c.d");
        assert_eq!(quoted("۰۹۱۵"), "'۰۹۱۵'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
