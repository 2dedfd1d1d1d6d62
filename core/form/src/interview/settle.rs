//! Keeping an interview settled: a change puts what depends on it into a queue ordered by rank, and the queue runs until it is
//! empty. Nothing else is looked at.

use std::collections::{BTreeSet, VecDeque};

use super::context::Mode;
use super::host::{View, World, uuid};
use super::plan::{Aspect, Dependent, Plan};
use super::tree::{ElementId, Tree};
use super::values;
use crate::answers::{Answers, order_between};
use crate::model::{ActionValue, NodeId, NodeKind};
use crate::xpath::Scope;
use crate::xpath::functions::nodes::{shuffle_seed, shuffled};
use crate::xpath::host::{Host, Node};
use crate::xpath::moment::Moment;
use std::sync::Arc;

/// Rounds of one answer: what goes in a circle ends here.
const ROUNDS_PER_ELEMENT: usize = 50;
/// Most instances that a count may ask for.
const COUNT_MAX: f64 = 10_000.0;

/// Work to be done: rank first.
type Work = (u32, Aspect, NodeId, ElementId);

/// An interview's tree and what keeps it settled.
pub(super) struct Engine {
    pub(super) plan: Arc<Plan>,
    pub(super) tree: Tree,
    pub(super) world: World,
    pub(super) mode: Mode,
    /// Answers are being read in: nothing that is stored may change.
    pub(super) opening: bool,
    /// Instances that a count has made, whose actions have not run.
    fresh: Vec<ElementId>,
    /// Instances that were made from a template: what repeats in them begins without instances of its own.
    templated: BTreeSet<ElementId>,
    queue: BTreeSet<Work>,
    /// Actions that a written value has triggered, and whether they are being run: one may trigger another, without an end.
    triggered: VecDeque<(ElementId, usize)>,
    acts: bool,
    /// Answers that came or went with their relevance: what they trigger runs once all else is settled, as in ODK's engine.
    shifted: Vec<ElementId>,
}

impl Engine {
    pub(super) fn new(plan: Arc<Plan>, world: World, mode: Mode) -> Self {
        let mut tree = Tree::default();
        tree.make(&plan, 0, None, &mut Vec::new());
        Self {
            plan,
            tree,
            world,
            mode,
            opening: false,
            fresh: Vec::new(),
            templated: BTreeSet::new(),
            queue: BTreeSet::new(),
            triggered: VecDeque::new(),
            acts: false,
            shifted: Vec::new(),
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { plan: &self.plan, tree: &self.tree, world: &self.world }
    }

    /// Queues everything in an element that is computed.
    pub(super) fn queue_all(&mut self, top: ElementId) {
        let mut below = Vec::new();
        self.tree.below(top, &mut below);
        let plan = self.plan.clone();
        for id in below {
            let node = self.tree.node_of(id);
            let Some(found) = plan.form.nodes.get(node) else { continue };
            if found.bind.relevant.is_some() {
                self.push(Aspect::Relevant, node, id);
            }
            if found.bind.calculate.is_some() {
                self.push(Aspect::Calculate, node, id);
            }
            // A choice that the form itself makes may not be among those offered.
            if self.plan.is_select(node) && self.tree.element(id).is_some_and(|element| !element.value.is_empty()) {
                self.push(Aspect::Choices, node, id);
            }
            for child in &found.children {
                let counted =
                    plan.form.nodes.get(*child).is_some_and(|child| matches!(child.kind, NodeKind::Repeat { count: Some(_) }));
                if counted {
                    self.push(Aspect::Count, *child, id);
                }
            }
        }
    }

    fn push(&mut self, aspect: Aspect, node: NodeId, element: ElementId) {
        let rank = self.plan.nodes.get(node).map_or(0, |node| node.rank);
        self.queue.insert((rank, aspect, node, element));
    }

    /// Queues what looks at a node, as seen from an element in or above it.
    pub(super) fn touch(&mut self, node: NodeId, element: ElementId) {
        let plan = self.plan.clone();
        let Some(dependents) = plan.dependents.get(node) else { return };
        for Dependent { node: target, aspect, anchor } in dependents {
            let top = anchor.and_then(|anchor| self.tree.around(element, anchor)).unwrap_or(0);
            // A count belongs to the parent of its instances; so does anything that sits on a repeat itself.
            let is_count = *aspect == Aspect::Count;
            let holder = if is_count { plan.form.nodes.get(*target).and_then(|node| node.parent).unwrap_or(0) } else { *target };
            for found in self.tree.within(&plan, top, holder) {
                self.push(*aspect, *target, found);
            }
        }
    }

    /// Runs the queue until nothing is left to do.
    pub(super) fn settle(&mut self) {
        let limit = ROUNDS_PER_ELEMENT * (self.tree.elements.len() + 100);
        let mut rounds = 0;
        loop {
            let Some((_, aspect, node, element)) = self.queue.pop_first() else {
                if let Some(element) = self.shifted.pop() {
                    self.trigger(element);
                    rounds += 1;
                    continue;
                }
                let Some(instance) = self.fresh.pop() else { return };
                self.fire(&["odk-instance-first-load", "odk-new-repeat"], instance);
                continue;
            };
            rounds += 1;
            if rounds > limit {
                self.queue.clear();
                self.shifted.clear();
                self.fresh.clear();
                return;
            }
            if self.tree.element(element).is_none_or(|element| element.gone) {
                continue;
            }
            match aspect {
                Aspect::Count => self.count(node, element),
                Aspect::Relevant => self.relevance(node, element),
                Aspect::Choices => self.choices(node, element),
                Aspect::Calculate => self.calculate(node, element),
            }
        }
    }

    fn relevance(&mut self, node: NodeId, element: ElementId) {
        let Some(plan_node) = self.plan.nodes.get(node) else { return };
        let judged = !(self.mode == Mode::Judge && plan_node.external_relevant);
        let Some(expression) = self.plan.form.nodes.get(node).and_then(|node| node.bind.relevant.clone()) else { return };
        let own = !judged || self.view().truth_at(&expression, element, true);
        if let Some(found) = self.tree.element_mut(element) {
            if found.own_relevant == own {
                return;
            }
            found.own_relevant = own;
        }
        self.spread(element);
    }

    /// Brings relevance down to everything in an element; what changed is touched.
    pub(super) fn spread(&mut self, element: ElementId) {
        let parent_relevant =
            self.tree.parent(element).is_none_or(|parent| self.tree.element(parent).is_some_and(|parent| parent.relevant));
        let mut open = vec![(element, parent_relevant)];
        while let Some((id, above)) = open.pop() {
            let Some(found) = self.tree.element_mut(id) else { continue };
            let relevant = above && found.own_relevant;
            if relevant == found.relevant && id != element {
                continue;
            }
            let changed = relevant != found.relevant;
            found.relevant = relevant;
            if changed {
                found.calculated = None;
            }
            let (node, filled) = (found.node, !found.value.is_empty());
            let children: Vec<ElementId> = found.children.iter().flatten().copied().collect();
            if changed {
                if filled {
                    self.touch(node, id);
                    if self.plan.triggers.contains_key(&node) {
                        self.shifted.push(id);
                    }
                }
                let is_value = self.plan.form.nodes.get(node).is_some_and(|node| node.bind.calculate.is_some());
                if relevant && is_value {
                    self.push(Aspect::Calculate, node, id);
                }
            }
            open.extend(children.into_iter().map(|child| (child, relevant)));
        }
    }

    fn calculate(&mut self, node: NodeId, element: ElementId) {
        let (Some(plan_node), Some(found)) = (self.plan.nodes.get(node), self.tree.element(element)) else { return };
        if plan_node.captured && (self.mode == Mode::Judge || (self.opening && found.stored) || !found.relevant) {
            return;
        }
        let Some(form_node) = self.plan.form.nodes.get(node) else { return };
        let Some(expression) = form_node.bind.calculate.clone() else { return };
        let data_type = form_node.bind.data_type;
        let text = values::calculated(data_type, self.view().text_at(&expression, element));
        if form_node.control.is_some() {
            let Some(found) = self.tree.element_mut(element) else { return };
            if found.relevant && found.calculated.as_ref() == Some(&text) {
                return;
            }
            found.calculated = found.relevant.then(|| text.clone());
            // What a person gave instead of the result stays until there is another result.
            if self.opening && found.stored {
                return;
            }
        }
        self.put(element, text);
    }

    fn choices(&mut self, node: NodeId, element: ElementId) {
        // What a list from outside no longer offers was right when it was chosen; and nothing is taken away by opening.
        if self.mode == Mode::Judge || self.opening {
            return;
        }
        let Some(found) = self.tree.element(element) else { return };
        let value = found.value.clone();
        // As in ODK's engine, what was chosen is filtered by what is offered, not forgotten.
        let chosen = if found.withheld.is_empty() { value.clone() } else { found.withheld.clone() };
        if chosen.is_empty() {
            return;
        }
        let Some(offered) = self.offered(node, element) else { return };
        let kept: Vec<&str> =
            chosen.split_whitespace().filter(|choice| offered.iter().any(|(value, _)| value == choice)).collect();
        let kept = kept.join(" ");
        let withheld = if kept == chosen { String::new() } else { chosen };
        if kept != value {
            self.put(element, kept);
        }
        if let Some(found) = self.tree.element_mut(element) {
            found.withheld = withheld;
        }
    }

    /// Choices offered now: value, and where the label is.
    pub(super) fn offered(&self, node: NodeId, element: ElementId) -> Option<Vec<(String, crate::xpath::Node)>> {
        let itemset = self.plan.form.nodes.get(node)?.control.as_ref()?.itemset.as_ref()?;
        let view = self.view();
        if let Some(search) = &itemset.search {
            let offered = view.searched(itemset, search, element);
            return Some(if itemset.randomize { self.shuffled(itemset, element, offered) } else { offered });
        }
        let nodes = match view.value(&itemset.nodeset, element) {
            Some(crate::xpath::Value::Nodes(nodes)) => nodes,
            _ => Vec::new(),
        };
        let mut offered = Vec::with_capacity(nodes.len());
        let mut cells = Vec::new();
        for item in nodes {
            cells.clear();
            if itemset.value_ref == "." || itemset.value_ref.is_empty() {
                cells.push(item);
            } else {
                let mut at = vec![item];
                for step in itemset.value_ref.trim_start_matches("./").split('/') {
                    let mut below = Vec::new();
                    for node in &at {
                        view.children(*node, Some(step), &mut below);
                    }
                    at = below;
                }
                cells = at;
            }
            let value = cells.first().map(|cell| view.text(*cell).into_owned()).unwrap_or_default();
            offered.push((value, item));
        }
        if itemset.randomize {
            offered = self.shuffled(itemset, element, offered);
        }
        Some(offered)
    }

    /// The order of a select whose choices are shuffled: by its seed, else by the interview's own.
    fn shuffled<T: Clone>(&self, itemset: &crate::model::Itemset, element: ElementId, items: Vec<T>) -> Vec<T> {
        let seed = match &itemset.seed {
            Some(seed) => {
                let view = self.view();
                let scope = Scope::at(&view, Node::Element(element));
                seed.evaluate(&scope).map_or(0, |value| shuffle_seed(&value, &scope))
            }
            None => self.world.context.random_seed.first_chunk().map_or(0, |bytes| i64::from(u32::from_le_bytes(*bytes))),
        };
        shuffled(items, seed)
    }

    fn count(&mut self, node: NodeId, parent: ElementId) {
        let plan = self.plan.clone();
        let Some(form_node) = plan.form.nodes.get(node) else { return };
        let NodeKind::Repeat { count: Some(count) } = &form_node.kind else { return };
        // The expression stands at the repeat, which has no element: one step up from it is the parent.
        let number = self.view().number_at_node(count, Node::Attribute(parent, 0));
        let slot = plan.nodes.get(node).map_or(0, |node| node.slot);
        let wanted = match number.is_nan() {
            // As in ODK, a count that says nothing for the moment changes nothing.
            true if !self.opening => self.tree.instances(parent, slot).len(),
            true => 0,
            false => number.clamp(0.0, COUNT_MAX) as usize,
        };
        loop {
            let instances = self.tree.instances(parent, slot);
            if instances.len() > wanted {
                let Some(last) = instances.last().copied() else { break };
                self.hide(parent, slot, last);
            } else if instances.len() < wanted && !self.tree.is_full() {
                let id = (instances.len() + 1).to_string();
                let hidden = self.tree.surplus.iter().position(|(above, at, element)| {
                    *above == parent && *at == slot && self.tree.element(*element).is_some_and(|element| element.id == id)
                });
                if let Some(at) = hidden {
                    let (_, _, element) = self.tree.surplus.remove(at);
                    self.show(parent, slot, element);
                    continue;
                }
                // The first instance is the form's own, the others are made from its template.
                let anew = !self.opening && self.mode != Mode::Judge;
                let made = if instances.is_empty() && anew && !self.is_templated(parent) {
                    self.begun_instance(node, parent, id)
                } else {
                    self.instance(node, parent, id, None)
                };
                if anew {
                    self.fresh.push(made);
                }
            } else {
                break;
            }
        }
    }

    fn hide(&mut self, parent: ElementId, slot: usize, element: ElementId) {
        self.leave(element);
        self.tree.detach(parent, slot, element);
        self.tree.surplus.push((parent, slot, element));
    }

    fn show(&mut self, parent: ElementId, slot: usize, element: ElementId) {
        self.tree.attach(parent, slot, element);
        self.enter(element);
    }

    /// Touches everything in an element that is about to leave.
    pub(super) fn leave(&mut self, element: ElementId) {
        let mut below = Vec::new();
        self.tree.below(element, &mut below);
        for id in below {
            let Some(found) = self.tree.element(id) else { continue };
            if !found.value.is_empty() || id == element || self.tree.is_instance(&self.plan, id) {
                self.touch(found.node, self.tree.parent(element).unwrap_or(0));
            }
        }
    }

    /// Queues everything in an element that has come, and touches what looks at it.
    fn enter(&mut self, element: ElementId) {
        self.spread(element);
        self.queue_all(element);
        let mut below = Vec::new();
        self.tree.below(element, &mut below);
        for id in below {
            let Some(found) = self.tree.element(id) else { continue };
            if !found.value.is_empty() || id == element {
                self.touch(found.node, id);
            }
        }
    }

    /// Makes an instance of a repeat; gives its element.
    pub(super) fn instance(&mut self, node: NodeId, parent: ElementId, id: String, order: Option<String>) -> ElementId {
        let element = self.bare_instance(node, parent, id, order);
        self.templated.insert(element);
        self.inner_repeats(element);
        self.enter(element);
        element
    }

    fn is_templated(&self, element: ElementId) -> bool {
        let around = |id: &ElementId| self.tree.parent(*id);
        std::iter::successors(Some(element), around).any(|id| self.templated.contains(&id))
    }

    fn bare_instance(&mut self, node: NodeId, parent: ElementId, id: String, order: Option<String>) -> ElementId {
        let plan = self.plan.clone();
        let slot = plan.nodes.get(node).map_or(0, |node| node.slot);
        let last = self.tree.instances(parent, slot).last().copied();
        let is_ordinal = id.bytes().all(|byte| byte.is_ascii_digit());
        let order = order.unwrap_or_else(|| {
            let last = last.and_then(|last| self.tree.element(last)).map(|last| last.order.clone());
            if is_ordinal { format!("{id:0>9}") } else { order_between(last.as_deref(), None) }
        });
        let mut made = Vec::new();
        let element = self.tree.make(&plan, node, Some(parent), &mut made);
        if let Some(found) = self.tree.element_mut(element) {
            found.id = id;
            found.order = order;
        }
        self.tree.attach(parent, slot, element);
        element
    }

    /// Gives an interview what it begins with: the instances that the form itself holds, else one blank instance a repeat.
    pub(super) fn begin(&mut self, top: ElementId, initial: &Answers) {
        let plan = self.plan.clone();
        for (key, instances) in &initial.repeats {
            let path = format!("{}/{key}", plan.form.nodes.get(self.tree.node_of(top)).map_or("", |node| &node.path));
            let Some(node) = plan.form.by_path.get(&path).copied() else { continue };
            let parent_node = plan.form.nodes.get(node).and_then(|node| node.parent).unwrap_or(0);
            let Some(parent) = self.tree.within(&plan, top, parent_node).first().copied() else { continue };
            for instance in instances {
                let name = uuid(self.world.draw());
                let element = self.bare_instance(node, parent, name, None);
                for (key, answer) in &instance.answers.values {
                    let path = format!("{path}/{key}");
                    let found =
                        plan.form.by_path.get(&path).and_then(|node| self.tree.within(&plan, element, *node).first().copied());
                    if let Some(found) = found.and_then(|id| self.tree.element_mut(id)) {
                        found.value = super::store::text_of(answer);
                    }
                }
                self.begin(element, &instance.answers);
                self.enter(element);
            }
        }
        for (node, parent, slot) in self.open_repeats(top) {
            let Some(key) = plan.nodes.get(node).map(|node| &node.key) else { continue };
            if self.tree.instances(parent, slot).is_empty() && !initial.repeats.contains_key(key) {
                self.begun_instance(node, parent, uuid(self.world.draw()));
            }
        }
    }

    /// An instance that the form itself holds, blank.
    fn begun_instance(&mut self, node: NodeId, parent: ElementId, id: String) -> ElementId {
        let element = self.bare_instance(node, parent, id, None);
        self.begin(element, &Answers::default());
        self.enter(element);
        element
    }

    /// Repeats in an element that a person fills, with their parent and slot; not those inside of instances.
    fn open_repeats(&self, top: ElementId) -> Vec<(NodeId, ElementId, usize)> {
        let mut found = Vec::new();
        let mut open = vec![top];
        while let Some(id) = open.pop() {
            for child in self.plan.form.nodes.get(self.tree.node_of(id)).map_or(&[][..], |node| &node.children) {
                let uncounted =
                    self.plan.form.nodes.get(*child).is_some_and(|child| child.kind == NodeKind::Repeat { count: None });
                if uncounted {
                    found.push((*child, id, self.plan.nodes.get(*child).map_or(0, |child| child.slot)));
                }
            }
            let groups = self.tree.element(id).into_iter().flat_map(|element| element.children.iter().flatten());
            open.extend(groups.filter(|child| !self.tree.is_instance(&self.plan, **child)));
        }
        found
    }

    /// Gives a new instance the instances that the form's template has in it.
    fn inner_repeats(&mut self, element: ElementId) {
        if self.opening || self.mode == Mode::Judge || self.plan.form.nested_first.is_empty() {
            return;
        }
        for (node, parent, slot) in self.open_repeats(element) {
            if self.plan.form.nested_first.contains(&node) && self.tree.instances(parent, slot).is_empty() {
                self.instance(node, parent, uuid(self.world.draw()), None);
            }
        }
    }

    /// Writes a value; what looks at it is queued, and what it triggers runs.
    pub(super) fn put(&mut self, element: ElementId, value: String) {
        let Some(found) = self.tree.element_mut(element) else { return };
        found.withheld.clear();
        if found.value == value {
            return;
        }
        found.value = value;
        let node = found.node;
        self.touch(node, element);
        self.trigger(element);
    }

    /// Runs what listens to an answer.
    fn trigger(&mut self, element: ElementId) {
        if self.opening || self.mode == Mode::Judge {
            return;
        }
        let node = self.tree.node_of(element);
        let plan = self.plan.clone();
        let mut triggered = Vec::new();
        for (target, index) in plan.triggers.get(&node).into_iter().flatten() {
            let repeat = plan.nodes.get(*target).and_then(|node| node.repeat);
            let top = repeat.and_then(|repeat| self.tree.around(element, repeat)).unwrap_or(0);
            triggered.extend(self.tree.within(&plan, top, *target).into_iter().map(|found| (found, *index)));
        }
        // What follows from an action comes before the next one.
        for action in triggered.into_iter().rev() {
            self.triggered.push_front(action);
        }
        self.act_on_triggers();
    }

    /// Runs what was triggered, and what that triggers; what goes in a circle ends.
    fn act_on_triggers(&mut self) {
        if std::mem::replace(&mut self.acts, true) {
            return;
        }
        let limit = ROUNDS_PER_ELEMENT * (self.tree.elements.len() + 100);
        for _ in 0..limit {
            let Some((element, index)) = self.triggered.pop_front() else { break };
            self.act(element, index);
        }
        self.triggered.clear();
        self.acts = false;
    }

    /// Runs the actions of an event on everything in an element, and what follows from them.
    pub(super) fn event(&mut self, event: &str, top: ElementId) {
        self.fire(&[event], top);
        self.settle();
    }

    /// Runs each action once that listens to any of the events. What is not relevant when it begins is passed over.
    fn fire(&mut self, events: &[&str], top: ElementId) {
        let mut below = Vec::new();
        self.tree.below(top, &mut below);
        let plan = self.plan.clone();
        for id in below {
            let Some(node) = plan.form.nodes.get(self.tree.node_of(id)) else { continue };
            for (index, action) in node.actions.iter().enumerate() {
                let relevant = self.tree.element(id).is_some_and(|element| element.relevant);
                if relevant && action.trigger.is_none() && action.events.iter().any(|named| events.contains(&named.as_str())) {
                    self.act(id, index);
                }
            }
        }
    }

    fn act(&mut self, element: ElementId, index: usize) {
        let node = self.tree.node_of(element);
        let plan = self.plan.clone();
        let Some(action) = plan.form.nodes.get(node).and_then(|node| node.actions.get(index)) else { return };
        let data_type = plan.form.nodes.get(node).map(|node| node.bind.data_type).unwrap_or_default();
        let text = match &action.value {
            ActionValue::Expression(expression) => self.view().text_at(expression, element),
            ActionValue::Literal(text) => text.clone(),
            // The device brings a place or a recording later.
            ActionValue::GeoPoint | ActionValue::RecordAudio(_) => return,
        };
        self.put(element, values::calculated(data_type, text));
    }

    /// Fills what a device knows by itself.
    pub(super) fn preload(&mut self) {
        let plan = self.plan.clone();
        let mut below = Vec::new();
        self.tree.below(0, &mut below);
        for id in below {
            let Some(node) = plan.form.nodes.get(self.tree.node_of(id)) else { continue };
            let Some(preload) = node.bind.preload.as_deref() else { continue };
            if let Some(value) = self.preloaded(preload) {
                self.put(id, value);
            }
        }
    }

    fn preloaded(&self, preload: &str) -> Option<String> {
        let context = &self.world.context;
        let now = Moment { milliseconds: context.now_ms, offset_minutes: context.offset_minutes };
        Some(match preload {
            "start" => now.full_text(),
            "today" => now.date_text(),
            "deviceid" => context.device_id.clone(),
            "username" => context.username.clone(),
            "phonenumber" => context.phone_number.clone(),
            "email" => context.email.clone(),
            // The same as an address, as Collect gives it.
            "uri:deviceid" => context.device_id.clone(),
            "uri:username" if !context.username.is_empty() => format!("username:{}", context.username),
            "uri:phonenumber" if !context.phone_number.is_empty() => format!("tel:{}", context.phone_number),
            "uri:email" if !context.email.is_empty() => format!("mailto:{}", context.email),
            "uid" => format!("uuid:{}", uuid(self.world.draw())),
            _ => return None,
        })
    }

    /// The interview ends now.
    pub(super) fn stamp_end(&mut self) {
        let now = Moment { milliseconds: self.world.context.now_ms, offset_minutes: self.world.context.offset_minutes };
        let plan = self.plan.clone();
        for (node, found) in plan.form.nodes.iter().enumerate() {
            if found.bind.preload.as_deref() == Some("end") {
                for id in self.tree.within(&plan, 0, node) {
                    self.put(id, now.full_text());
                }
            }
        }
        self.settle();
    }

    /// Words that depend on the language are computed again.
    pub(super) fn speak_again(&mut self) {
        let plan = self.plan.clone();
        for (node, aspect) in &plan.language {
            let holder = if *aspect == Aspect::Count {
                plan.form.nodes.get(*node).and_then(|node| node.parent).unwrap_or(0)
            } else {
                *node
            };
            for id in self.tree.within(&plan, 0, holder) {
                self.push(*aspect, *node, id);
            }
        }
    }
}
