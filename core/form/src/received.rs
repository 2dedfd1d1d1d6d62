//! Reads an OpenRosa submission back into answers: what [`crate::interview::Interview::finalize`] writes, and what other
//! clients send for the same form.
//!
//! Calculations are not answers and are computed again. What this version of the form has no place for is kept under its
//! path, as [`Interview::open`] keeps it. An instance of a repeat gets an id from the interview's own id and its place, so that
//! reading a submission twice gives the same answers.
//!
//! [`Interview::open`]: crate::interview::Interview::open

use crate::answers::{Answer, Answers, Instance, order_between};
use crate::fault::Fault;
use crate::interview::reading;
use crate::model::{Form, NodeId, NodeKind};
use crate::xform::document::{self, Element};

/// Most instances of one repeat.
const INSTANCES_MAX: usize = 10_000;

/// A submission, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The form that it says it is of.
    pub form_id: String,
    /// The version that it says it is of; blank where it says none.
    pub version: String,
    /// `meta/instanceID`.
    pub instance_id: String,
    /// What was answered.
    pub answers: Answers,
}

/// Reads a submission of a form, of this version or another.
pub fn read(form: &Form, xml: &[u8]) -> Result<Received, Fault> {
    let root = document::read(xml).map_err(|fault| {
        Fault::at(&format!("line {}", fault.line), 0, "", fault.message, "send the submission as OpenRosa writes it")
    })?;
    let form_id = root.attribute("id").unwrap_or_default().to_owned();
    if root.local() != form.root_name || form_id != form.id {
        let message = format!("`<{}>` with the id `{form_id}` is no submission of `{}`", root.name, form.id);
        return Err(Fault::at(&format!("line {}", root.line), 0, "", message, "read it with the form that it was made with"));
    }
    let instance_id = root.child("meta").and_then(|meta| meta.child("instanceID")).map(Element::text).unwrap_or_default();
    let mut reader = Reader { form, instance_id: instance_id.trim().to_owned() };
    let mut answers = Answers::default();
    reader.container(&root, Some(0), "", "", &mut answers)?;
    let version = root.attribute("version").unwrap_or_default().to_owned();
    Ok(Received { form_id, version, instance_id: reader.instance_id, answers })
}

struct Reader<'form> {
    form: &'form Form,
    instance_id: String,
}

impl Reader<'_> {
    /// What is in the root, in a group, or in an instance; `key` is where it is from the root or the instance, `place` from
    /// the root.
    fn container(
        &mut self,
        element: &Element,
        node: Option<NodeId>,
        key: &str,
        place: &str,
        into: &mut Answers,
    ) -> Result<(), Fault> {
        for child in element.children() {
            let name = child.local();
            let own_key = if key.is_empty() { name.to_owned() } else { format!("{key}/{name}") };
            let own_place = format!("{place}/{name}");
            let found = self.below(node, name);
            let kind = found.and_then(|id| self.form.nodes.get(id)).map(|node| &node.kind);
            match (found, kind) {
                (Some(id), Some(NodeKind::Repeat { count })) => {
                    let instances = into.repeats.entry(own_key.clone()).or_default();
                    if instances.len() >= INSTANCES_MAX {
                        let message = format!("`{own_place}` has more than {INSTANCES_MAX} instances");
                        return Err(Fault::at(&format!("line {}", child.line), 0, "", message, "send fewer"));
                    }
                    let position = instances.len() + 1;
                    let own_place = format!("{own_place}[{position}]");
                    let id_text = if count.is_some() { position.to_string() } else { self.instance(&own_place) };
                    let order = order_between(instances.last().map(|last| last.order.as_str()), None);
                    let mut answers = Answers::default();
                    self.container(child, Some(id), "", &own_place, &mut answers)?;
                    if let Some(instances) = into.repeats.get_mut(&own_key) {
                        instances.push(Instance { id: id_text, order, answers });
                    }
                }
                (Some(id), Some(NodeKind::Value)) => {
                    if let Some(answer) = reading::answer(self.form, id, &child.text()) {
                        into.values.insert(own_key, answer);
                    }
                }
                // An entity is made again from the answers.
                _ if name == "entity" && element.local() == "meta" => {}
                (None, _) if child.children().next().is_none() => {
                    let text = child.text();
                    if !text.is_empty() {
                        into.values.insert(own_key, Answer::Text(text));
                    }
                }
                (id, _) => self.container(child, id, &own_key, &own_place, into)?,
            }
        }
        Ok(())
    }

    fn below(&self, node: Option<NodeId>, name: &str) -> Option<NodeId> {
        let parent = self.form.nodes.get(node?)?;
        self.form.by_path.get(&format!("{}/{name}", parent.path)).copied()
    }

    /// The id of an instance that has none in the submission.
    fn instance(&self, place: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("karwan 2026 instance of a submission");
        for part in [self.instance_id.as_str(), place] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let mut bytes = [0u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        reading::uuid(bytes)
    }
}
