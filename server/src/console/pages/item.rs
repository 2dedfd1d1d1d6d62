//! One review item and its decision, in the page.

use askama::Template;
use axum::response::Response;
use karwan_client::query::{RecordShown, ShownValue};

use super::organisation::{forms_seen, titles};
use crate::console::Fields;
use crate::console::answers::{Line, Reading, side_by_side};
use crate::console::door::Told;
use crate::console::fault::Fault;
use crate::console::page::{Page, answer, encoded, go_to};
use crate::console::questions::{Choice, Question};
use crate::console::visit::Visit;
use crate::console::words::{Words, fill};
use crate::query::{self, ItemListed};
use crate::review::{self, ItemDecision, ReviewAct, ReviewCommand};

/// Longest value that is typed, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// One of the values between which a person decides.
struct Side {
    text: String,
    given: ShownValue,
    /// Of a duplicate: address and name of the record.
    record: Option<(String, String)>,
    /// How long ago it was given.
    is_shown: bool,
}

#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage {
    page: Page,
    told: Option<Told>,
    item: ItemListed,
    kind: String,
    lead: &'static str,
    title: String,
    source: String,
    /// Address of the record.
    record: String,
    question: String,
    around: Vec<String>,
    sides: Vec<Side>,
    choices: Vec<Choice>,
    involved: Vec<Line>,
    /// Of a duplicate: question and both answers.
    rows: Vec<(String, [String; 2])>,
    decides: bool,
    /// What was typed before something was wrong with it.
    chosen: String,
    typed: String,
    note: String,
    error: String,
    error_detail: String,
}

impl ItemPage {
    fn is_chosen(&self, choice: impl AsRef<str>) -> bool {
        self.chosen == choice.as_ref()
    }
}

/// What a page about an item needs to know of it.
struct Subject<'a> {
    item: ItemListed,
    /// Of a record: opened in its form's words. Of an entity there is none.
    opened: Option<(Reading<'a>, RecordShown)>,
    question: Option<Question>,
}

impl<'a> Subject<'a> {
    fn of(visit: &'a Visit<'a>, id: &str) -> Result<Self, Fault> {
        visit.sees_records()?;
        let item = query::item(visit.host(), &visit.scope, id)?;
        if item.record_kind == "entity" {
            let forms = forms_seen(visit)?;
            let question = Question::of_property(visit.host(), &forms, &item.source, &item.reference, visit.language());
            return Ok(Self { item, opened: None, question });
        }
        // Of what is not taken in there may be nothing to show yet.
        let opened = match query::show(visit.host(), &visit.scope, &item.record) {
            Ok(shown) => Some((Reading::of(visit, &item.record)?, shown)),
            Err(_) => None,
        };
        let question = opened.as_ref().and_then(|(reading, _)| reading.question(&item.reference));
        Ok(Self { item, opened, question })
    }

    fn label(&self) -> String {
        match (&self.opened, &self.question) {
            (Some((reading, _)), _) => reading.label(&self.item.reference),
            (None, Some(question)) => question.label(),
            (None, None) => self.item.reference.clone(),
        }
    }

    fn said(&self, visit: &Visit<'_>, value: &str) -> String {
        match &self.question {
            Some(question) => question.said(value, visit.host(), &visit.scope, visit.language()),
            None => value.to_owned(),
        }
    }

    fn address(&self) -> String {
        address(&self.item)
    }
}

fn address(item: &ItemListed) -> String {
    if item.record_kind == "entity" {
        return format!("/records/{}", encoded(&format!("{}:{}", item.source, item.record)));
    }
    format!("/records/{}", encoded(&item.record))
}

/// An item.
pub fn page(visit: &Visit<'_>, id: &str) -> Result<Response, Fault> {
    shown(visit, id, &Fields::new(), "", "")
}

fn shown(visit: &Visit<'_>, id: &str, fields: &Fields, error: &str, detail: &str) -> Result<Response, Fault> {
    let subject = Subject::of(visit, id)?;
    let words = visit.language().words();
    let item = &subject.item;
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let sides = item.values.iter().enumerate().map(|(at, value)| Side {
        text: edited_answer(&subject, visit, item, &value.shown.value),
        record: value
            .record
            .as_ref()
            .filter(|_| item.kind == "duplicate")
            .map(|record| (format!("/records/{}", encoded(record)), value.shown.value.clone())),
        given: value.shown.clone(),
        is_shown: at == 0 && item.kind == "conflict",
    });
    let sides: Vec<Side> = sides.collect();
    let involved = match &subject.opened {
        Some((reading, shown)) if item.kind == "invalid" => {
            reading.involved(shown, &item.reference).iter().map(|place| reading.line_at(shown, place)).collect()
        }
        _ => Vec::new(),
    };
    let titles = titles(&forms_seen(visit)?);
    let page = visit.page("decide", words.item_kind(&item.kind));
    let title = if item.title.trim().is_empty() { words.without_title.to_owned() } else { item.title.clone() };
    answer(&ItemPage {
        kind: words.item_kind(&item.kind).to_owned(),
        lead: words.item_lead(&item.kind),
        source: titles.get(&item.source).cloned().unwrap_or_else(|| item.source.clone()),
        record: subject.address(),
        question: subject.label(),
        around: subject.opened.as_ref().map(|(reading, _)| reading.around(&item.reference)).unwrap_or_default(),
        choices: subject.question.as_ref().map(Question::choices).unwrap_or_default(),
        rows: if item.kind == "duplicate" { compared(visit, item)? } else { Vec::new() },
        decides: visit.decides().is_ok(),
        chosen: field("choice"),
        typed: field("value"),
        note: field("note"),
        error: error.to_owned(),
        error_detail: detail.to_owned(),
        told: visit.told(),
        item: subject.item.clone(),
        page,
        title,
        sides,
        involved,
    })
}

/// A value in words; an edit of something removed names its question: `m_age=31`.
fn edited_answer(subject: &Subject<'_>, visit: &Visit<'_>, item: &ItemListed, value: &str) -> String {
    let Some((name, text)) = value.split_once('=').filter(|_| item.kind == "removed-but-edited") else {
        return subject.said(visit, value);
    };
    let place = format!("{}/{name}", item.reference);
    match &subject.opened {
        Some((reading, _)) => format!("{}: {}", reading.label(&place), reading.said(&place, text)),
        None => value.to_owned(),
    }
}

/// The answers of the two records of a duplicate.
fn compared(visit: &Visit<'_>, item: &ItemListed) -> Result<Vec<(String, [String; 2])>, Fault> {
    let mut both = Vec::new();
    for record in item.values.iter().filter_map(|value| value.record.as_ref()).take(2) {
        let shown = query::show(visit.host(), &visit.scope, record)?;
        both.push(Reading::of(visit, record)?.lines(&shown).0);
    }
    let mut both = both.into_iter();
    Ok(side_by_side(both.next().unwrap_or_default(), &both.next().unwrap_or_default()))
}

/// A decision.
pub fn decide(visit: &Visit<'_>, id: &str, fields: &Fields) -> Result<Response, Fault> {
    visit.decides()?;
    let words = visit.language().words();
    let item = query::item(visit.host(), &visit.scope, id)?;
    let choice = fields.get("choice").map_or("", String::as_str);
    let typed = fields.get("value").map(|value| value.trim()).unwrap_or_default();
    let decision = match choice {
        "accept" => ItemDecision::Accept,
        "reject" => ItemDecision::Reject,
        "other" if typed.is_empty() || typed.len() > VALUE_BYTES_MAX => {
            return shown(visit, id, fields, words.other_value_hint, "");
        }
        "other" => ItemDecision::Value(typed.to_owned()),
        number => match number.parse::<usize>().ok().and_then(|at| item.values.get(at)) {
            Some(value) => ItemDecision::Value(value.shown.value.clone()),
            None => return shown(visit, id, fields, words.choose_first, ""),
        },
    };
    // Said before the decision: afterwards the item is no longer there to be asked.
    let text = told(&Subject::of(visit, id)?, visit, words, &decision);
    let command = ReviewCommand {
        act: ReviewAct::Resolve { item: id.to_owned(), decision },
        note: fields.get("note").cloned().unwrap_or_default(),
        person: Some(visit.person.to_string()),
    };
    match review::run(visit.host(), command) {
        Ok(_) => {}
        Err(problem) if matches!(problem.code.as_str(), "value" | "decision" | "not-in-this-version") => {
            return shown(visit, id, fields, words.not_accepted, &problem.error);
        }
        Err(problem) => return Err(problem.into()),
    }
    let left = query::items(visit.host(), &visit.scope)?;
    let next = left.iter().find(|next| next.kind == item.kind).or(left.first());
    let rest = match left.len() {
        0 => words.all_decided.to_owned(),
        count => fill(words.left_to_decide, "{n}", &visit.language().number(count)),
    };
    visit.tell(Told { text: format!("{text} {rest}"), hint: words.decided_hint, link: address(&item) });
    Ok(go_to(&next.map_or_else(|| "/decide".to_owned(), |next| format!("/decide/{}", encoded(&next.item)))))
}

fn told(subject: &Subject<'_>, visit: &Visit<'_>, words: &Words, decision: &ItemDecision) -> String {
    match (subject.item.kind.as_str(), decision) {
        ("duplicate", ItemDecision::Accept) => words.is_decided_same.to_owned(),
        ("duplicate", ItemDecision::Reject) => words.is_decided_different.to_owned(),
        ("removed-but-edited", ItemDecision::Accept) => words.is_kept_removed.to_owned(),
        ("removed-but-edited", ItemDecision::Reject) => words.is_brought_back.to_owned(),
        (_, ItemDecision::Accept) => words.is_kept_as_is.to_owned(),
        (_, ItemDecision::Value(value)) => {
            let value = if value.is_empty() { words.blank.to_owned() } else { subject.said(visit, value) };
            let sentence = fill(words.decided_value, "{question}", &isolated(&subject.label()));
            fill(&sentence, "{value}", &isolated(&value))
        }
        _ => words.decided.to_owned(),
    }
}

/// A text between invisible marks that keep its direction to itself, where no element can.
fn isolated(text: &str) -> String {
    format!("\u{2068}{text}\u{2069}")
}
