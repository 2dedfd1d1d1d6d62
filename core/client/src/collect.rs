//! Interviews: begun, answered, kept, finished. Every answer is on disk before the call that gave it returns; a finished interview or
//! edit is one change, written together with everything that lists and forms read of it.

use std::sync::{Arc, Mutex};

use karwan_form::answer_file::{self, AnswerLine};
use karwan_form::interview::{Context, Interview, Mode, Violation};
use karwan_form::model::{Form, InstanceSource};
use karwan_proto::ids::{CaseloadId, PersonId, RecordId};
use karwan_record::Record;
use karwan_record::entities::{self, ENTITY_FORM, EntityNote};
use karwan_store::change::RecordPlace;
use karwan_store::draft::{Draft, FlatAnswers, difference, flatten, unflatten};
use karwan_store::listing::{Kind, Question};
use karwan_store::{Store, View};

use crate::device::{Device, Inner, locked, random};
use crate::error::ClientError;
use crate::forms::LoadedForm;
use crate::lists::DeviceLists;
use crate::observe::Changed;
use crate::people::name_of;
use crate::project::writes_to;
use crate::records::{self, made_here, refuses};

/// When answers reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Each one before the call that gives it returns: a person answers.
    Journalled,
    /// All together at the end: a script answers, and repeats what was not acknowledged.
    AtOnce,
}

/// An interview in progress on a device.
pub struct Collect {
    inner: Arc<Inner>,
    interview: Interview,
    loaded: Arc<LoadedForm>,
    draft: Draft,
    flat: FlatAnswers,
    /// The draft is in the store.
    kept: bool,
    /// What was invalid when an edit began: it is somebody else's to mend.
    invalid_before: Vec<Violation>,
}

impl std::fmt::Debug for Collect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collect").field("record", &self.draft.record).finish_non_exhaustive()
    }
}

impl Device {
    /// Begins an interview with the newest version of a form.
    pub fn start(
        &self,
        form: &str,
        caseload: Option<CaseloadId>,
        person: PersonId,
        filling: Filling,
    ) -> Result<Collect, ClientError> {
        let (loaded, last_saved) = {
            let store = locked(&self.inner.store);
            let view = store.view()?;
            let loaded = self.inner.form_named(&view, form, caseload)?;
            let last_saved = if asks_last_saved(&loaded) { last_saved(&view, &loaded)? } else { None };
            (loaded, last_saved)
        };
        let draft = self.inner.draft(RecordId::from_random(random()), loaded.row.caseload, &loaded, person, None);
        let context = Context { last_saved, ..self.inner.context(&draft, &loaded)? };
        let interview = Interview::start(loaded.form.clone(), context)?;
        let mut collect = Collect::new(self.inner.clone(), interview, loaded, draft);
        if filling == Filling::Journalled {
            collect.keep_draft()?;
        }
        Ok(collect)
    }

    /// Goes on with a draft.
    pub fn resume(&self, record: RecordId) -> Result<Collect, ClientError> {
        let (draft, flat, loaded, base_answers) = {
            let store = locked(&self.inner.store);
            let view = store.view()?;
            let draft = view.draft(record)?.ok_or_else(|| ClientError::NotADraft(record.to_string()))?;
            let loaded = self.inner.needed(&view, draft.form)?;
            let base = match &draft.base {
                Some(heads) => Some(records::load(&view, record)?.answers_at(&loaded.shape, heads)),
                None => None,
            };
            (draft, view.draft_answers(record)?, loaded, base)
        };
        let mut invalid_before = Vec::new();
        if let Some(answers) = base_answers {
            let context = self.inner.context(&draft, &loaded)?;
            invalid_before = Interview::open(loaded.form.clone(), &answers, context, Mode::Edit)?.violations();
        }
        let context = self.inner.context(&draft, &loaded)?;
        let mut interview = Interview::open(loaded.form.clone(), &unflatten(&flat), context, Mode::Fill)?;
        if !draft.language.is_empty() {
            // A language that a newer version of the form lost is no reason to lose the draft.
            let _ = interview.set_language(&draft.language);
        }
        let mut collect =
            Collect { kept: true, flat, invalid_before, ..Collect::new(self.inner.clone(), interview, loaded, draft) };
        collect.journal()?;
        Ok(collect)
    }

    /// Begins to change a finished record, as it shows now.
    pub fn edit(&self, record: RecordId, person: PersonId, filling: Filling) -> Result<Collect, ClientError> {
        let (place, document, loaded) = {
            let store = locked(&self.inner.store);
            let view = store.view()?;
            if view.draft(record)?.is_some() {
                return Err(ClientError::DraftOpen(record.to_string()));
            }
            let place = view.record_place(record)?.ok_or_else(|| ClientError::NoSuchRecord(record.to_string()))?;
            let document = records::load(&view, record)?;
            let form = document.form().ok_or_else(|| ClientError::NoSuchRecord(record.to_string()))?;
            if form == ENTITY_FORM {
                return Err(ClientError::Entity(record.to_string()));
            }
            (place, document, self.inner.needed(&view, form)?)
        };
        let draft = self.inner.draft(record, place.caseload, &loaded, person, Some(document.heads()));
        let context = self.inner.context(&draft, &loaded)?;
        let answers = document.answers(&loaded.shape);
        let interview = Interview::open(loaded.form.clone(), &answers, context, Mode::Edit)?;
        let invalid_before = interview.violations();
        let mut collect = Collect { invalid_before, ..Collect::new(self.inner.clone(), interview, loaded, draft) };
        if filling == Filling::Journalled {
            collect.keep_draft()?;
        }
        Ok(collect)
    }

    /// Throws a draft away; the record that it would have changed stays as it is.
    pub fn discard(&self, record: RecordId) -> Result<(), ClientError> {
        locked(&self.inner.store).write(|batch| {
            batch.view().draft(record)?.ok_or_else(|| ClientError::NotADraft(record.to_string()))?;
            Ok::<_, ClientError>(batch.end_draft(record)?)
        })?;
        self.inner.observers.tell(&Changed::Records(vec![record]));
        Ok(())
    }
}

impl Collect {
    fn new(inner: Arc<Inner>, interview: Interview, loaded: Arc<LoadedForm>, draft: Draft) -> Self {
        let flat = flatten(&interview.answers());
        Self { inner, interview, loaded, draft, flat, kept: false, invalid_before: Vec::new() }
    }

    /// The record that it becomes, or that it changes.
    pub fn record(&self) -> RecordId {
        self.draft.record
    }

    /// The form.
    pub(crate) fn form(&self) -> &Form {
        &self.loaded.form
    }

    /// The device's database.
    pub(crate) fn store(&self) -> &Mutex<Store> {
        &self.inner.store
    }

    /// What a screen shows.
    pub fn interview(&self) -> &Interview {
        &self.interview
    }

    /// Answers one question.
    pub fn set(&mut self, place: &str, value: &str) -> Result<(), ClientError> {
        self.interview.set(place, value)?;
        self.journal()
    }

    /// Adds an instance to a repeat; gives its identifier.
    pub fn add(&mut self, repeat: &str) -> Result<String, ClientError> {
        let id = self.interview.add(repeat)?;
        self.journal()?;
        Ok(id)
    }

    /// Removes an instance.
    pub fn remove(&mut self, instance: &str) -> Result<(), ClientError> {
        self.interview.remove(instance)?;
        self.journal()
    }

    /// Answers many questions, as an answer file says.
    pub fn apply(&mut self, lines: &[AnswerLine]) -> Result<(), ClientError> {
        answer_file::apply(&mut self.interview, lines)?;
        self.journal()
    }

    /// Shows the form in another language.
    pub fn set_language(&mut self, language: &str) -> Result<(), ClientError> {
        self.interview.set_language(language)?;
        language.clone_into(&mut self.draft.language);
        self.journal()
    }

    /// Keeps it as a draft, to go on later with [`Device::resume`].
    pub fn keep_draft(&mut self) -> Result<RecordId, ClientError> {
        if self.kept {
            self.journal()?;
            return Ok(self.draft.record);
        }
        self.flat = flatten(&self.interview.answers());
        self.draft.title = self.interview.instance_name();
        let (draft, flat) = (&self.draft, &self.flat);
        locked(&self.inner.store).write(|batch| {
            if batch.view().draft(draft.record)?.is_some() {
                return Err(ClientError::DraftOpen(draft.record.to_string()));
            }
            Ok(batch.begin_draft(draft, flat)?)
        })?;
        self.kept = true;
        self.inner.observers.tell(&Changed::Records(vec![self.draft.record]));
        Ok(self.draft.record)
    }

    /// Throws it away.
    pub fn discard(self) -> Result<(), ClientError> {
        if self.kept {
            locked(&self.inner.store).write(|batch| batch.end_draft(self.draft.record))?;
            self.inner.observers.tell(&Changed::Records(vec![self.draft.record]));
        }
        Ok(())
    }

    /// Ends the interview: it becomes a change of its record, waiting to be sent. Where an answer does not stand nothing is written, and
    /// a draft stays a draft.
    pub fn finalize(&mut self) -> Result<RecordId, ClientError> {
        if let Err(mut violations) = self.interview.finalize() {
            let known = &self.invalid_before;
            violations.retain(|new| !known.iter().any(|old| old.place == new.place && old.kind == new.kind));
            if !violations.is_empty() {
                return Err(ClientError::Invalid(violations));
            }
        }
        let answers = self.interview.answers();
        let writes = self.interview.entity_writes();
        let writer = self.inner.writer(self.draft.person, self.draft.caseload);
        let (inner, loaded, draft) = (&self.inner, &self.loaded, &self.draft);
        let id = draft.record;
        locked(&inner.store).author(|batch| {
            let view = batch.view();
            let notes = writes
                .iter()
                .map(|write| Ok(entities::note(&write.list, &write.id, &writes_to(&view, &write.list, &write.id)?)))
                .collect::<Result<Vec<EntityNote>, ClientError>>()?;
            let (author, stamp) = (&writer.author, &writer.stamp);
            let form = loaded.row.hash;
            let (record, change) = match &draft.base {
                None => {
                    let (record, bytes) = Record::create(id, &loaded.shape, form, &answers, &notes, author, stamp)
                        .map_err(|error| refuses(&error))?;
                    (record, Some(bytes))
                }
                Some(seen) => {
                    let mut record = records::load(&view, id)?;
                    let bytes = record
                        .edit(&loaded.shape, seen, form, &answers, &notes, author, stamp)
                        .map_err(|error| refuses(&error))?;
                    (record, bytes)
                }
            };
            if let Some(bytes) = change {
                batch.put_record(id, RecordPlace { caseload: draft.caseload, generation: 0 })?;
                let generation = batch.view().record_place(id)?.map_or(0, |place| place.generation);
                batch.put_change(id, generation, &made_here(&record, bytes, writer.origin)?)?;
                inner.project(batch, &record, draft.caseload)?;
            }
            batch.end_draft(id)?;
            Ok::<_, ClientError>(())
        })?;
        self.kept = false;
        self.inner.made.send_modify(|count| *count += 1);
        self.inner.observers.tell(&Changed::Records(vec![id]));
        Ok(id)
    }

    /// Writes what changed since the last answer.
    fn journal(&mut self) -> Result<(), ClientError> {
        if !self.kept {
            return Ok(());
        }
        let after = flatten(&self.interview.answers());
        let steps = difference(&self.flat, &after);
        let title = self.interview.instance_name();
        if steps.is_empty() && title == self.draft.title {
            return Ok(());
        }
        let now_ms = self.inner.clock.now_ms();
        let draft = &self.draft;
        locked(&self.inner.store).write(|batch| {
            batch.append_draft(draft.record, &steps, now_ms)?;
            batch.touch_draft(draft.record, &title, &draft.language, draft.person, now_ms)
        })?;
        self.draft.title = title;
        self.draft.updated_ms = now_ms;
        self.flat = after;
        Ok(())
    }
}

impl Inner {
    fn draft(
        &self,
        record: RecordId,
        caseload: CaseloadId,
        loaded: &LoadedForm,
        person: PersonId,
        base: Option<Vec<karwan_proto::ids::Hash>>,
    ) -> Draft {
        let now_ms = self.clock.now_ms();
        Draft {
            record,
            caseload,
            form: loaded.row.hash,
            person,
            language: String::new(),
            base,
            seed: random(),
            title: String::new(),
            started_ms: now_ms,
            updated_ms: now_ms,
            offset_minutes: self.clock.offset_minutes(),
        }
    }

    /// The world around an interview. Its seed is fresh each time: what was drawn before is among the answers.
    fn context(self: &Arc<Self>, draft: &Draft, loaded: &LoadedForm) -> Result<Context, ClientError> {
        let username = {
            let store = locked(&self.store);
            name_of(&store.view()?, draft.person)?
        };
        Ok(Context {
            now_ms: self.clock.now_ms(),
            offset_minutes: self.clock.offset_minutes(),
            device_id: self.device.to_string(),
            username,
            phone_number: String::new(),
            email: String::new(),
            random_seed: random(),
            lists: Arc::new(DeviceLists::of(self, loaded)),
            last_saved: None,
        })
    }
}

fn asks_last_saved(loaded: &LoadedForm) -> bool {
    loaded.form.instances.values().any(|instance| matches!(instance.source, InstanceSource::LastSaved))
}

/// Answers of the newest interview of the same form on this device.
fn last_saved(view: &View<'_>, loaded: &LoadedForm) -> Result<Option<karwan_form::answers::Answers>, ClientError> {
    let source = Some(loaded.row.form_id.clone());
    let question = Question { kind: Some(Kind::Interview), source, limit: 1, ..Question::default() };
    let Some(record) = view.list(&question)?.first().and_then(|row| row.id.parse::<RecordId>().ok()) else { return Ok(None) };
    Ok(Some(records::load(view, record)?.answers(&loaded.shape)))
}
