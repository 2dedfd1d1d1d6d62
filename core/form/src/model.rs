//! The checked model of a form: what an XLSForm or an XForm says, after its faults were found.
//!
//! Both readers ([`crate::xlsform`], [`crate::xform`]) produce a [`Form`]; the interview, the outline, the XForm writer
//! and the record's shape read it. Nodes live in one arena in document order; node 0 is the root group. Expressions keep
//! their source (after `${}` was resolved to a path) beside the parsed tree, so that messages and conversions can show it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::answers::Answers;
use crate::interview::plan::Prepared;
pub use crate::table::Table;
use crate::xpath::Expression;

/// Position of a node in [`Form::nodes`].
pub type NodeId = usize;

/// One version of a questionnaire.
#[derive(Debug, Clone)]
pub struct Form {
    /// `form_id` of the settings sheet, `id` of the XForm's instance root.
    pub id: String,
    /// `version`, empty where the author gave none.
    pub version: String,
    /// Title in the form's own words.
    pub title: String,
    /// Name of the root element, `data` unless the form says otherwise.
    pub root_name: String,
    /// BLAKE3 of the definition's bytes: the form's name everywhere else.
    pub hash: [u8; 32],
    /// Languages in the order of the sheets, as the form names them (`فارسی (fa)`); empty where nothing is translated.
    pub languages: Vec<String>,
    /// Index into `languages` of the language shown first.
    pub default_language: usize,
    /// What an interview is called in lists.
    pub instance_name: Option<Expression>,
    /// `style` of the settings sheet (`pages`, `theme-grid`, …).
    pub style: String,
    /// Further settings, which other tools read and this one only hands on: `submission_url`, `public_key`, `auto_send`,
    /// `auto_delete`, `client_editable`, `namespaces`, `instance_xmlns`, `prefix`, `delimiter`, `omit_instanceID`, `attribute::NAME`.
    pub settings: BTreeMap<String, String>,
    /// All nodes in document order; 0 is the root.
    pub nodes: Vec<Node>,
    /// Path without instances (`/data/member/m_name`) to node.
    pub by_path: BTreeMap<String, NodeId>,
    /// Choice lists and other secondary instances, by the id that `instance()` uses.
    pub instances: BTreeMap<String, SecondaryInstance>,
    /// Entity lists that this form creates or updates.
    pub entities: Vec<EntityDeclaration>,
    /// The workbook's sheet `karwan_status`: which events may follow which.
    pub status_rules: Vec<StatusRule>,
    /// Instances that the definition itself holds: what a repeat begins with, where that is not one blank instance. A key
    /// without instances: it begins with none. Ids are ordinals, and mean nothing.
    pub initial: Answers,
    /// Repeats of which a new instance of the repeat around them has one instance already. In a workbook: those that stand
    /// in a group of it.
    pub nested_first: BTreeSet<NodeId>,
    /// What the author should know but which stops nothing.
    pub warnings: Vec<String>,
    /// Made at the first interview and shared by all.
    pub prepared: Prepared,
}

/// One group, repeat or question.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name of the element.
    pub name: String,
    /// Absolute path without instances: `/data/member/m_name`.
    pub path: String,
    /// The group or repeat around it; none for the root.
    pub parent: Option<NodeId>,
    /// What is in it, in order.
    pub children: Vec<NodeId>,
    /// Group, repeat or value.
    pub kind: NodeKind,
    /// What its answer may be.
    pub bind: Bind,
    /// Absent for what is bound and never asked (calculations, metadata).
    pub control: Option<Control>,
    /// The default in the instance (a literal; a dynamic default is an [`Action`]).
    pub default: String,
    /// `setvalue` and its kin that write to this node.
    pub actions: Vec<Action>,
    /// Sheet row (XLSForm, 1-based) or line (XForm) that made this node, for messages.
    pub row: u32,
}

/// What a node is in the tree.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum NodeKind {
    /// The root and every group.
    Group,
    /// A repeat; `count` is `repeat_count`, whose instances are keyed by their ordinal.
    Repeat { count: Option<Expression> },
    /// Holds a value.
    Value,
}

/// What a question's answer may be and when it is asked.
#[derive(Debug, Clone, Default)]
pub struct Bind {
    /// Type of the value.
    pub data_type: DataType,
    /// Whether it is asked.
    pub relevant: Option<Expression>,
    /// What an answer must fulfil.
    pub constraint: Option<Expression>,
    /// What is said where it does not.
    pub constraint_message: Option<Text>,
    /// Whether an answer is needed.
    pub required: Option<Expression>,
    /// What is said where none is given.
    pub required_message: Option<Text>,
    /// Whether nobody may answer.
    pub readonly: Option<Expression>,
    /// What the value is computed by.
    pub calculate: Option<Expression>,
    /// `start`, `end`, `today`, `deviceid`, `username`, `phonenumber`, `email`, `uid`, `instanceName`, ….
    pub preload: Option<String>,
    /// `save_to`: entity list and property. The list is the nearest declaration's where the column names none.
    pub save_to: Option<(String, String)>,
    /// `bind::karwan:merge`.
    pub merge: MergeRule,
    /// `bind::karwan:identity`: what this answer says of a person (`given_name`, `surname`, `father_name`, `birth_year`,
    /// `birth_date`, `document`, `phone`, `sex`), for finding who was registered twice.
    pub identity: Option<String>,
    /// Further attributes, kept as they came: `instance::hxl` stands at the node in the instance, `bind::odk:length` at its
    /// bind.
    pub extra: BTreeMap<String, String>,
    /// The calculation gives another result each time (`once`, `uuid()`, `now()`, `random()`, a look-up in a list that
    /// changes): its value is captured while a person fills or edits and stored, never computed in a merge.
    pub captured: bool,
}

/// How concurrent answers to one question meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MergeRule {
    /// Both values stay and a person decides.
    #[default]
    Review,
    /// A set: concurrent additions all stay. The rule of a several-choice question.
    Union,
    /// Each answer is an event that is kept; the one shown is a fold over them.
    Events,
}

/// XForms data types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DataType {
    #[default]
    String,
    Int,
    Decimal,
    Boolean,
    Date,
    Time,
    DateTime,
    GeoPoint,
    GeoTrace,
    GeoShape,
    Binary,
    Barcode,
    Intent,
    /// Several choices, space-separated.
    SelectMultiple,
    /// One choice.
    SelectOne,
    /// All choices in an order, space-separated.
    Rank,
}

impl DataType {
    /// The word of XForms; for what a person picks, the word of XLSForm.
    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Time => "time",
            Self::DateTime => "dateTime",
            Self::GeoPoint => "geopoint",
            Self::GeoTrace => "geotrace",
            Self::GeoShape => "geoshape",
            Self::Binary => "binary",
            Self::Barcode => "barcode",
            Self::Intent => "intent",
            Self::SelectMultiple => "select_multiple",
            Self::SelectOne => "select_one",
            Self::Rank => "rank",
        }
    }
}

/// What the person sees.
#[derive(Debug, Clone)]
pub struct Control {
    /// How it is asked.
    pub kind: ControlKind,
    /// What is asked.
    pub label: Option<Text>,
    /// A hint below the label.
    pub hint: Option<Text>,
    /// Guidance for who asks, shown on demand.
    pub guidance_hint: Option<Text>,
    /// How it should look (`minimal`, `table-list`, …).
    pub appearance: String,
    /// `parameters` (`max-pixels`, `start`, `end`, `step`, `seed`, `capture-accuracy`, …).
    pub parameters: BTreeMap<String, String>,
    /// Selects and ranks only.
    pub itemset: Option<Itemset>,
    /// `media::image`, `audio`, `video`, `big-image` by kind: a text whose value is the file's name.
    pub media: BTreeMap<String, Text>,
}

/// The control's kind; the words of the form trace are in [`crate::trace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ControlKind {
    Input,
    Note,
    SelectOne,
    SelectMultiple,
    Rank,
    Range,
    /// `acknowledge`.
    Trigger,
    /// Image, audio, video, file.
    Upload,
    Group,
    Repeat,
}

/// Where a select's choices come from.
#[derive(Debug, Clone)]
pub struct Itemset {
    /// Key of [`Form::instances`], or empty for a repeat-driven list.
    pub instance: String,
    /// The nodeset as written, with the choice filter as its predicate: what the interview evaluates.
    pub nodeset: Expression,
    /// Child that holds the value (`name`) and the one that holds the label.
    pub value_ref: String,
    /// Child that holds the label.
    pub label_ref: String,
    /// `randomize` and its seed.
    pub randomize: bool,
    /// Seed of the order, where one is given.
    pub seed: Option<Expression>,
    /// The appearance `search()`: which rows of a file are offered.
    pub search: Option<Search>,
}

/// Rows of a file as choices (the appearance `search()`); the file is the itemset's instance.
#[derive(Debug, Clone)]
pub struct Search {
    /// The list whose choices name the columns of value and label; those with a number for a name are choices themselves.
    pub list: String,
    /// How a cell fits.
    pub kind: SearchKind,
    /// Columns of which one fits; none: every row does.
    pub columns: Vec<String>,
    /// What a cell is compared with.
    pub value: Option<Expression>,
    /// A column and what it holds in the rows that are offered.
    pub filter: Option<(String, Expression)>,
}

/// How a cell fits what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SearchKind {
    Contains,
    StartsWith,
    EndsWith,
    Matches,
}

/// Words in every language, with outputs in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// By index of [`Form::languages`]; one entry where nothing is translated. `None`: not said in this language.
    pub by_language: Vec<Option<Vec<TextPart>>>,
}

/// A piece of a [`Text`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum TextPart {
    Literal(String),
    /// `${name}` in a label: the value of this expression is put here.
    Output(Expression),
}

/// `setvalue` and its kin.
#[derive(Debug, Clone)]
pub struct Action {
    /// `odk-instance-first-load`, `odk-instance-load`, `odk-new-repeat`, `xforms-value-changed`.
    pub events: Vec<String>,
    /// For `xforms-value-changed`: the question that triggers. The value's paths then start from it, else from the node that
    /// is written.
    pub trigger: Option<NodeId>,
    /// What is written.
    pub value: ActionValue,
}

/// What an action writes.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ActionValue {
    Expression(Expression),
    Literal(String),
    /// `odk:setgeopoint`.
    GeoPoint,
    /// `odk:recordaudio` with its quality.
    RecordAudio(String),
}

/// A choice list, a CSV or another table that `instance()` reads.
#[derive(Debug, Clone)]
pub struct SecondaryInstance {
    /// The id that `instance()` uses.
    pub id: String,
    /// Where its rows are.
    pub source: InstanceSource,
}

/// Where a secondary instance's rows are.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum InstanceSource {
    /// In the form itself.
    Internal(Arc<Table>),
    /// `jr://file-csv/persons.csv`, `jr://file/x.xml`, `jr://file/x.geojson`; the file's name. A device serves an entity
    /// list of the same name instead, where it has one.
    External { file: String },
    /// `jr://instance/last-saved`.
    LastSaved,
}

/// `entities` sheet: one list that interviews of this form create or update. Its expressions stand in `meta/entity` of the
/// scope (`meta/entity/label`, `meta/entity/@id`), so a question of the scope is `../../../m_name`.
#[derive(Debug, Clone)]
pub struct EntityDeclaration {
    /// Name of the list (dataset).
    pub list: String,
    /// What the entity is called.
    pub label: Option<Expression>,
    /// Id of the entity that is updated.
    pub entity_id: Option<Expression>,
    /// Whether one is created.
    pub create_if: Option<Expression>,
    /// Whether one is updated.
    pub update_if: Option<Expression>,
    /// Node whose instances each make one entity: the root, a repeat, or a group where several lists share a root or repeat.
    pub scope: NodeId,
    /// Property to the node that it is saved from, in document order.
    pub properties: Vec<(String, NodeId)>,
}

/// One row of the sheet `karwan_status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRule {
    /// Question whose events this row is about; empty: every question whose merge rule is `events`.
    pub question: String,
    /// State before; empty: the first event.
    pub from: String,
    /// State after.
    pub to: String,
    /// Role that may do it; empty: anybody who may write.
    pub role: String,
    /// States that a concurrent event into `to` wins against.
    pub beats: Vec<String>,
}
