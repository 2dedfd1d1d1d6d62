//! Every text of the console, by name. One room per language holds them all: a text that is missing in one does not compile.
//!
//! `{n}`, `{name}` and their like are places that [`fill`] fills; their order is the language's own.

mod english;
mod persian;

pub use english::ENGLISH;
pub use persian::PERSIAN;

/// The texts of one language.
pub struct Words {
    pub other_language: &'static str,
    pub skip: &'static str,

    pub sign_in: &'static str,
    pub sign_in_lead: &'static str,
    pub name: &'static str,
    pub password: &'static str,
    pub sign_out: &'static str,
    pub wrong_sign_in: &'static str,
    pub too_many_attempts: &'static str,
    pub signed_out: &'static str,
    pub form_expired: &'static str,

    pub today: &'static str,
    pub records: &'static str,
    pub to_decide: &'static str,
    pub devices: &'static str,
    pub forms: &'static str,
    pub people: &'static str,

    pub arrived: &'static str,
    pub arrived_today: &'static str,
    pub arrived_week: &'static str,
    pub arrived_by_form: &'static str,
    pub arrived_by_device: &'static str,
    pub nothing_arrived: &'static str,
    pub needs_a_person: &'static str,
    pub nothing_to_decide: &'static str,
    pub not_home: &'static str,
    pub not_home_lead: &'static str,
    pub all_home: &'static str,
    pub total: &'static str,
    pub open_it: &'static str,

    pub search: &'static str,
    pub search_hint: &'static str,
    pub filter: &'static str,
    pub clear: &'static str,
    pub all: &'static str,
    pub form: &'static str,
    pub list: &'static str,
    pub caseload: &'static str,
    pub caseloads: &'static str,
    pub kind: &'static str,
    pub status: &'static str,
    pub interviews: &'static str,
    pub entities: &'static str,
    pub no_records: &'static str,
    pub title: &'static str,
    pub made_by: &'static str,
    pub updated: &'static str,
    pub open_items: &'static str,
    pub without_title: &'static str,
    pub previous: &'static str,
    pub next: &'static str,
    pub page_of: &'static str,
    pub csv: &'static str,
    pub csv_lead: &'static str,
    pub csv_note: &'static str,
    pub csv_withdrawn: &'static str,

    pub answers: &'static str,
    pub question: &'static str,
    pub no_answers: &'static str,
    pub form_missing: &'static str,
    pub open_file: &'static str,
    pub picture_not_here: &'static str,
    pub other_values: &'static str,
    pub calculated: &'static str,
    pub disagreement: &'static str,
    pub shown_now: &'static str,
    pub blank: &'static str,
    pub device: &'static str,
    pub person: &'static str,
    pub time: &'static str,
    pub history: &'static str,
    pub about: &'static str,
    pub identifier: &'static str,
    pub returned_because: &'static str,
    pub review_record: &'static str,
    pub note_optional: &'static str,
    pub return_it: &'static str,
    pub approve_it: &'static str,
    pub assign_it: &'static str,
    pub assign_to: &'static str,
    pub due: &'static str,
    pub note_needed: &'static str,
    pub not_possible: &'static str,
    pub has_returned: &'static str,
    pub has_approved: &'static str,
    pub has_assigned: &'static str,
    pub properties: &'static str,
    pub interviews_behind: &'static str,
    pub payable: &'static str,
    pub writes_to: &'static str,

    pub decide: &'static str,
    pub decide_lead: &'static str,
    pub item_gone: &'static str,
    pub item_gone_lead: &'static str,
    pub since: &'static str,
    pub choose: &'static str,
    pub this_one: &'static str,
    pub other_value: &'static str,
    pub other_value_hint: &'static str,
    pub choose_first: &'static str,
    pub not_accepted: &'static str,
    pub leave_undecided: &'static str,
    pub decided: &'static str,
    pub decided_value: &'static str,
    pub decided_hint: &'static str,
    pub left_to_decide: &'static str,
    pub all_decided: &'static str,
    pub record_of: &'static str,
    pub same_person: &'static str,
    pub different_people: &'static str,
    pub is_decided_same: &'static str,
    pub is_decided_different: &'static str,
    pub duplicate_lead: &'static str,
    pub forms_message: &'static str,
    pub answers_involved: &'static str,
    pub set_value: &'static str,
    pub keep_as_is: &'static str,
    pub is_kept_as_is: &'static str,
    pub keep_removed: &'static str,
    pub bring_back: &'static str,
    pub is_kept_removed: &'static str,
    pub is_brought_back: &'static str,
    pub removed: &'static str,
    pub position_is_right: &'static str,
    pub quarantined_lead: &'static str,
    pub conflict_lead: &'static str,
    pub invalid_lead: &'static str,
    pub removed_lead: &'static str,
    pub moved_lead: &'static str,
    pub may_not_decide: &'static str,

    pub role: &'static str,
    pub last_sync: &'static str,
    pub never: &'static str,
    pub waiting: &'static str,
    pub revoked: &'static str,
    pub copied: &'static str,
    pub active: &'static str,
    pub disabled: &'static str,
    pub signs_in: &'static str,
    pub yes: &'static str,
    pub no: &'static str,
    pub no_devices: &'static str,
    pub no_forms: &'static str,
    pub version: &'static str,
    pub retired: &'static str,
    pub in_use: &'static str,
    pub every_caseload: &'static str,

    pub not_found: &'static str,
    pub not_found_lead: &'static str,
    pub forbidden: &'static str,
    pub forbidden_operator: &'static str,
    pub forbidden_administrator: &'static str,
    pub forbidden_decide: &'static str,
    pub forbidden_export: &'static str,
    pub forbidden_caseload: &'static str,
    pub failed: &'static str,
    pub failed_lead: &'static str,
    pub back_to_start: &'static str,

    pub now: &'static str,
    pub minutes_ago: &'static str,
    pub hours_ago: &'static str,
    pub days_ago: &'static str,
    pub comma: &'static str,
    pub months: [&'static str; 12],

    pub kind_conflict: &'static str,
    pub kind_invalid: &'static str,
    pub kind_duplicate: &'static str,
    pub kind_removed: &'static str,
    pub kind_quarantined: &'static str,
    pub kind_moved: &'static str,

    pub status_draft: &'static str,
    pub status_finalised: &'static str,
    pub status_sent: &'static str,
    pub status_returned: &'static str,
    pub status_approved: &'static str,

    pub role_operator: &'static str,
    pub role_enumerator: &'static str,
    pub role_supervisor: &'static str,
    pub role_data_manager: &'static str,
    pub role_administrator: &'static str,

    pub what_registered: &'static str,
    pub what_edited: &'static str,
    pub what_merged: &'static str,
    pub what_updated: &'static str,
    pub what_decided: &'static str,
    pub what_returned: &'static str,
    pub what_approved: &'static str,
    pub what_assigned: &'static str,
}

impl Words {
    /// The kind of a review item.
    pub fn item_kind<'a>(&self, kind: &'a str) -> &'a str {
        match kind {
            "conflict" => self.kind_conflict,
            "invalid" => self.kind_invalid,
            "duplicate" => self.kind_duplicate,
            "removed-but-edited" => self.kind_removed,
            "quarantined" => self.kind_quarantined,
            "moved-position" => self.kind_moved,
            other => other,
        }
    }

    /// What an item of this kind is, in a sentence.
    pub fn item_lead(&self, kind: &str) -> &'static str {
        match kind {
            "conflict" => self.conflict_lead,
            "invalid" => self.invalid_lead,
            "duplicate" => self.duplicate_lead,
            "removed-but-edited" => self.removed_lead,
            "quarantined" => self.quarantined_lead,
            "moved-position" => self.moved_lead,
            _ => "",
        }
    }

    /// The status of a record.
    pub fn record_status<'a>(&self, status: &'a str) -> &'a str {
        match status {
            "draft" => self.status_draft,
            "finalised" => self.status_finalised,
            "sent" => self.status_sent,
            "returned" => self.status_returned,
            "approved" => self.status_approved,
            other => other,
        }
    }

    /// A role by the name that commands give it.
    pub fn role_name<'a>(&self, role: &'a str) -> &'a str {
        match role {
            "operator" => self.role_operator,
            "enumerator" => self.role_enumerator,
            "supervisor" => self.role_supervisor,
            "data-manager" => self.role_data_manager,
            "administrator" => self.role_administrator,
            other => other,
        }
    }

    /// What happened, in a history.
    pub fn happened<'a>(&self, what: &'a str) -> &'a str {
        match what {
            "registered" => self.what_registered,
            "edited" => self.what_edited,
            "merged" => self.what_merged,
            "updated" => self.what_updated,
            "decided" => self.what_decided,
            "returned" => self.what_returned,
            "approved" => self.what_approved,
            "assigned" => self.what_assigned,
            other => other,
        }
    }
}

/// Puts a text in its place in a sentence.
pub fn fill(sentence: &str, place: &str, text: &str) -> String {
    sentence.replace(place, text)
}
