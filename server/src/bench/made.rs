//! What simulated devices send: made-up answers to every question of a form, as changes in sealed envelopes, made before the clock runs.

use std::collections::BTreeSet;

use karwan_form::answers::{Answer, Answers, Instance, order_between};
use karwan_form::model::{DataType, Form, InstanceSource, Node, NodeId, NodeKind};
use karwan_proto::RecordId;
use karwan_record::place::MAX_DEPTH;

/// The form of an organisation that is made for a benchmark: with [`INSTANCES`] members eighty values, two of which tell who somebody is.
pub(super) const FORM_FILE: &str = "census.xml";
/// Questions of a household.
const QUESTIONS: usize = 40;
/// Questions of a member.
const MEMBER_QUESTIONS: usize = 8;
/// Instances of each repeat.
const INSTANCES: usize = 5;

const GIVEN: [&str; 8] = ["غلام‌رضا", "فاطمه", "Mohammad", "زهرا", "Abdul Karim", "نورالله", "Shirin", "گل‌بی‌بی"];
const FAMILY: [&str; 8] = ["احمدی", "Rahimi", "نظری", "Hosseini", "موسوی", "Sharifi", "یوسفی", "Karimi"];
const WORDS: [&str; 6] = ["rented", "well", "with relatives", "مسجد", "none", "daily labour"];

/// The form's definition.
pub(super) fn form() -> Vec<u8> {
    let household: Vec<String> = (0..QUESTIONS - 3).map(|number| format!("h{number}")).collect();
    let member: Vec<String> = (0..MEMBER_QUESTIONS - 1).map(|number| format!("m{number}")).collect();
    let named = household.iter().map(String::as_str);
    let questions: Vec<&str> = ["head_name", "document_no", "phone"].into_iter().chain(named).collect();
    let members: Vec<&str> = std::iter::once("m_name").chain(member.iter().map(String::as_str)).collect();
    let elements = |names: &[&str]| names.iter().map(|name| format!("<{name}/>")).collect::<Vec<_>>().concat();
    let inputs = |names: &[&str], above: &str| {
        let input = |name: &&str| format!("<input ref='{above}/{name}'><label>{name}</label></input>");
        names.iter().map(input).collect::<Vec<_>>().concat()
    };
    format!(
        "<?xml version='1.0'?><h:html xmlns='http://www.w3.org/2002/xforms' xmlns:h='http://www.w3.org/1999/xhtml' \
         xmlns:jr='http://openrosa.org/javarosa' xmlns:karwan='urn:karwan'><h:head><h:title>Census</h:title><model>\
         <instance><data id='census' version='1'>{}<member jr:template=''>{}</member><meta><instanceName/></meta></data></instance>\
         <bind nodeset='/data/head_name' type='string' karwan:identity='given_name'/>\
         <bind nodeset='/data/document_no' type='string' karwan:identity='document'/>\
         <bind nodeset='/data/meta/instanceName' type='string' calculate='/data/head_name'/>\
         </model></h:head><h:body>{}<group ref='/data/member'><label>Member</label><repeat nodeset='/data/member'>{}</repeat></group>\
         </h:body></h:html>",
        elements(&questions),
        elements(&members),
        inputs(&questions, "/data"),
        inputs(&members, "/data/member"),
    )
    .into_bytes()
}

/// Numbers that are always the same for one seed.
pub(super) struct Dice(u64);

impl Dice {
    /// Of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.below(words.len() as u64) as usize;
        words.get(at).copied().unwrap_or_default()
    }

    /// A part of one.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

/// Answers to every question that a person is asked.
pub(super) fn answers(form: &Form, dice: &mut Dice) -> Answers {
    let mut answers = Answers::default();
    fill(form, 0, "", 0, dice, &mut answers);
    answers
}

fn fill(form: &Form, at: NodeId, above: &str, depth: usize, dice: &mut Dice, into: &mut Answers) {
    let Some(node) = form.nodes.get(at).filter(|_| depth <= MAX_DEPTH) else { return };
    for child in &node.children {
        let Some(found) = form.nodes.get(*child) else { continue };
        let key = if above.is_empty() { found.name.clone() } else { format!("{above}/{}", found.name) };
        match &found.kind {
            NodeKind::Group => fill(form, *child, &key, depth + 1, dice, into),
            NodeKind::Repeat { count } => {
                let mut instances = Vec::new();
                let mut order: Option<String> = None;
                for number in 1..=INSTANCES {
                    let mut inside = Answers::default();
                    fill(form, *child, "", depth + 1, dice, &mut inside);
                    let next = order_between(order.as_deref(), None);
                    let id = if count.is_some() { number.to_string() } else { RecordId::from_random(dice.bytes()).to_string() };
                    let order_key = if count.is_some() { String::new() } else { next.clone() };
                    instances.push(Instance { id, order: order_key, answers: inside });
                    order = Some(next);
                }
                into.repeats.insert(key, instances);
            }
            NodeKind::Value => {
                if let Some(answer) = answer(form, found, dice) {
                    into.values.insert(key, answer);
                }
            }
        }
    }
}

fn answer(form: &Form, node: &Node, dice: &mut Dice) -> Option<Answer> {
    node.control.as_ref()?;
    let choices = choices(form, node);
    let text = match node.bind.data_type {
        DataType::SelectMultiple => {
            let chosen: BTreeSet<String> = choices.iter().filter(|_| dice.below(3) == 0).cloned().collect();
            return (!chosen.is_empty()).then_some(Answer::Set(chosen));
        }
        DataType::SelectOne => choices.get(dice.below(choices.len() as u64) as usize)?.clone(),
        DataType::String => match node.bind.identity.as_deref() {
            Some("document") => format!("AF-{:09}", dice.below(1_000_000_000)),
            Some(_) => format!("{} {} {}", dice.of(&GIVEN), dice.of(&FAMILY), dice.below(1_000_000)),
            None if node.name.ends_with("name") => format!("{} {}", dice.of(&GIVEN), dice.of(&FAMILY)),
            None if dice.below(2) == 0 => dice.of(&WORDS).to_owned(),
            None => dice.below(90).to_string(),
        },
        DataType::Int => dice.below(90).to_string(),
        DataType::Decimal => format!("{}.{}", dice.below(90), dice.below(10)),
        DataType::Date => format!("2026-{:02}-{:02}", dice.below(12) + 1, dice.below(28) + 1),
        // Places, files and what an app measures take more than a made-up text.
        _ => return None,
    };
    Some(Answer::Text(text))
}

/// Choices that stand in the form itself.
fn choices(form: &Form, node: &Node) -> Vec<String> {
    let itemset = node.control.as_ref().and_then(|control| control.itemset.as_ref());
    let Some(itemset) = itemset else { return Vec::new() };
    let Some(InstanceSource::Internal(table)) = form.instances.get(&itemset.instance).map(|instance| &instance.source) else {
        return Vec::new();
    };
    let Some(column) = table.columns.iter().position(|column| *column == itemset.value_ref) else { return Vec::new() };
    table.rows.iter().filter_map(|row| row.get(column).cloned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_benchmarks_form_is_read_and_a_record_of_it_has_eighty_values() {
        let form = karwan_form::read(&form(), FORM_FILE).unwrap();
        let answers = answers(&form, &mut Dice::new(1));
        let members = &answers.repeats["member"];
        let inside: usize = members.iter().map(|member| member.answers.values.len()).sum();
        assert_eq!(answers.values.len() + inside, 80);
        assert!(form.nodes.iter().any(|node| node.bind.identity.as_deref() == Some("document")));
    }

    #[test]
    fn every_programmes_form_is_answered() {
        for (file, bytes) in crate::programmes::PROGRAMMES.iter().flat_map(|programme| programme.forms) {
            let form = karwan_form::read(bytes, file).unwrap();
            assert!(answers(&form, &mut Dice::new(2)).values.len() > 5, "{file}");
        }
    }
}
