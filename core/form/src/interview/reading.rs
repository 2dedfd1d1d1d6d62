//! An answer that comes from outside an interview, as its question stores it.

use super::plan::Plan;
use super::values::typed;
use crate::answers::Answer;
use crate::model::{Form, NodeId};

pub(crate) use super::host::uuid;

/// The answer; none where it is blank or the question stores none, because it is calculated. A text that the question's type
/// cannot hold stays as it is.
pub(crate) fn answer(form: &Form, node: NodeId, text: &str) -> Option<Answer> {
    let plan = Plan::of(form);
    if text.is_empty() || !(plan.is_stored(node) || plan.may_differ(node)) {
        return None;
    }
    if plan.is_set(node) {
        return Some(Answer::Set(text.split_whitespace().map(str::to_owned).collect()));
    }
    let data_type = form.nodes.get(node)?.bind.data_type;
    Some(Answer::Text(typed(data_type, text, 0).unwrap_or_else(|_| text.to_owned())))
}
