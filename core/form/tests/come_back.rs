//! What was answered comes back: from a submission, from the interview saved last, and into a newer version of the form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use karwan_form::answers::{Answer, Answers};
use karwan_form::interview::{Context, Interview, Mode};
use karwan_form::model::Form;
use karwan_form::received;
use xlsform_made::read;

mod xlsform_made;

const FORM: &str = "#survey
    type|name|label|relevant|calculation|save_to
    text|family|Family|||surname
    begin_group|home|Home
    decimal|area|Area
    select_multiple yn|has|Has
    text|why|Why|${area} > 100
    end_group
    begin_repeat|member|Member
    text|m_name|Name
    begin_repeat|paper|Paper
    text|number|Number
    end_repeat
    calculate|m_count|||count(${paper})
    end_repeat
    integer|total|Total||count(${member})
    #choices
    list_name|name|label
    yn|roof|Roof
    yn|door|Door
    yn|well|Well
    #entities
    list_name|label
    families|${family}
    #settings
    form_id|version
    household|3";

fn context() -> Context {
    Context::at(1_790_000_000_000, [3; 32])
}

fn filled() -> Interview {
    let mut interview = Interview::start(Arc::new(read(FORM)), context()).unwrap();
    for (place, value) in [
        ("/data/family", "Karimi & sons"),
        ("/data/home/area", "120"),
        ("/data/home/has", "roof well"),
        ("/data/home/why", "<big>"),
        ("/data/member[1]/m_name", "Ali"),
        ("/data/member[1]/paper[1]/number", "A1"),
    ] {
        interview.set(place, value).unwrap();
    }
    interview.add("/data/member[1]/paper").unwrap();
    interview.set("/data/member[1]/paper[2]/number", "A2").unwrap();
    interview.add("/data/member").unwrap();
    interview.set("/data/member[2]/m_name", "زهرا").unwrap();
    interview
}

fn value(interview: &Interview, place: &str) -> String {
    interview.node(place).unwrap().value.unwrap()
}

fn text<'answers>(answers: &'answers Answers, key: &str) -> &'answers str {
    match &answers.values[key] {
        Answer::Text(text) => text,
        Answer::Set(_) => panic!("{key} is a set"),
    }
}

#[test]
fn a_submission_is_read_and_written_again_as_it_was() {
    let mut interview = filled();
    let submission = interview.finalize().unwrap();
    let form = read(FORM);
    let found = received::read(&form, submission.xml.as_bytes()).unwrap();
    assert_eq!((found.form_id.as_str(), found.version.as_str()), ("household", "3"));
    assert_eq!(found.instance_id, value(&interview, "/data/meta/instanceID"));
    assert_eq!(text(&found.answers, "family"), "Karimi & sons");
    assert_eq!(found.answers.values["home/has"], Answer::Set(["roof", "well"].map(str::to_owned).into()));
    let members = &found.answers.repeats["member"];
    assert_eq!(members.len(), 2);
    assert_eq!(text(&members[0].answers.repeats["paper"][1].answers, "number"), "A2");
    let mut again = Interview::open(Arc::new(form), &found.answers, context(), Mode::Edit).unwrap();
    let stored = again.answers();
    assert!(!stored.values.contains_key("total") && !stored.repeats["member"][0].answers.values.contains_key("m_count"));
    // The entity's id is the interview's own, so that it comes out the same too.
    assert_eq!(again.finalize().unwrap().xml, submission.xml);
    assert_eq!(received::read(&read(FORM), submission.xml.as_bytes()).unwrap(), found);
}

#[test]
fn a_finished_submission_can_be_edited() {
    let xml = filled().finalize().unwrap().xml;
    let found = received::read(&read(FORM), xml.as_bytes()).unwrap();
    let mut interview = Interview::open(Arc::new(read(FORM)), &found.answers, context(), Mode::Edit).unwrap();
    interview.set("/data/home/area", "90").unwrap();
    interview.remove("/data/member[1]").unwrap();
    let edited = interview.finalize().unwrap().xml;
    assert!(edited.contains("<area>90.0</area>") && !edited.contains("<why>") && edited.contains("<total>1</total>"), "{edited}");
    assert!(edited.contains(&found.instance_id));
}

#[test]
fn what_a_form_has_no_place_for_is_kept() {
    let xml = "<data id='household' version='2'><family>K</family><old>1</old><gone><deep>2</deep></gone>\
        <home><area>seven</area></home><member><m_name>A</m_name><m_old>3</m_old></member></data>";
    let found = received::read(&read(FORM), xml.as_bytes()).unwrap();
    assert_eq!((text(&found.answers, "old"), text(&found.answers, "gone/deep")), ("1", "2"));
    assert_eq!(text(&found.answers, "home/area"), "seven");
    let interview = Interview::open(Arc::new(read(FORM)), &found.answers, context(), Mode::Edit).unwrap();
    let kept = interview.answers();
    assert_eq!((text(&kept, "old"), text(&kept, "gone/deep"), text(&kept, "home/area")), ("1", "2", "seven"));
    assert_eq!(text(&kept.repeats["member"][0].answers, "m_old"), "3");
}

#[test]
fn a_submission_of_another_form_is_refused() {
    let form = read(FORM);
    for (xml, told) in [
        ("<data id='other'><family>K</family></data>", "`<data>` with the id `other` is no submission of `household`"),
        ("<data id='household'><family>K</data>", "the XML is broken"),
        ("", ""),
    ] {
        let fault = received::read(&form, xml.as_bytes()).unwrap_err();
        assert!(fault.message.contains(told) && !fault.mend.is_empty(), "{fault}");
    }
}

#[test]
fn the_interview_saved_last_is_seen_whole() {
    let form = || {
        Arc::new(read(
            "#survey
            type|name|label|calculation|relevant|default
            begin_group|home|Home
            text|town|Town|||${last-saved♯town}
            end_group
            integer|name|Name
            calculate|twice||${name} * 2
            text|hidden|Hidden||${name} > 5
            begin_repeat|r|R
            text|in_r|In
            end_repeat
            note|told|${last-saved♯twice} ${last-saved♯hidden} ${last-saved♯name}
            calculate|several||count(instance('__last-saved')/data/r)
            calculate|second||instance('__last-saved')/data/r[2]/in_r",
        ))
    };
    let mut first = Interview::start(form(), context()).unwrap();
    assert_eq!(value(&first, "/data/home/town"), "");
    first.set("/data/home/town", "Herat").unwrap();
    first.set("/data/name", "7").unwrap();
    first.set("/data/hidden", "seen").unwrap();
    first.add("/data/r").unwrap();
    first.set("/data/r[2]/in_r", "two").unwrap();
    let next = Context { last_saved: Some(first.answers()), ..context() };
    let second = Interview::start(form(), next.clone()).unwrap();
    assert_eq!(value(&second, "/data/home/town"), "Herat");
    assert_eq!(value(&second, "/data/several"), "2");
    assert_eq!(value(&second, "/data/second"), "two");
    assert_eq!(second.node("/data/told").unwrap().label.unwrap().trim(), "14 seen 7");
    first.set("/data/name", "3").unwrap();
    let without = Context { last_saved: Some(first.answers()), ..context() };
    let third = Interview::start(form(), without).unwrap();
    assert_eq!(third.node("/data/told").unwrap().label.unwrap().trim(), "6  3");
}

#[test]
fn a_draft_goes_on_in_a_newer_version() {
    let old = read(
        "#survey\ntype|name|label\ntext|town|Town\ninteger|age|Age\ntext|nick|Nickname\nbegin_repeat|m|M\ntext|x|X\nend_repeat",
    );
    let mut draft = Interview::start(Arc::new(old), context()).unwrap();
    for (place, given) in [("/data/town", "Herat"), ("/data/age", "30"), ("/data/nick", "Z"), ("/data/m[1]/x", "1")] {
        draft.set(place, given).unwrap();
    }
    let new: Form = read(
        "#survey
        type|name|label|default
        begin_group|home|Home
        text|town|Town
        end_group
        select_one yn|age|Age
        text|new|New|d
        begin_repeat|m|M
        begin_group|in|In
        text|x|X
        end_group
        end_repeat
        #choices
        list_name|name|label
        yn|y|Y",
    );
    let answers = draft.answers();
    let mut next = Interview::open(Arc::new(new.clone()), &answers, context(), Mode::Edit).unwrap();
    // The question that moved has its answer; the one that is gone keeps it aside; nothing is lost on the way.
    assert_eq!((value(&next, "/data/home/town"), value(&next, "/data/m[1]/in/x")), ("Herat".to_owned(), "1".to_owned()));
    assert_eq!((value(&next, "/data/age"), value(&next, "/data/new")), ("30".to_owned(), String::new()));
    next.set("/data/home/town", "Kabul").unwrap();
    let kept = next.answers();
    assert_eq!((text(&kept, "nick"), text(&kept, "town"), text(&kept, "home/town")), ("Z", "Herat", "Kabul"));
    let once_more = Interview::open(Arc::new(new), &kept, context(), Mode::Edit).unwrap();
    assert_eq!(value(&once_more, "/data/home/town"), "Kabul");
    assert_eq!(once_more.answers(), kept);
}

#[test]
fn an_answer_in_place_of_a_result_is_kept_until_the_result_is_another() {
    let form = || Arc::new(read("#survey\ntype|name|label|calculation\ninteger|a|A|\ninteger|b|B|${a} + 1"));
    let mut interview = Interview::start(form(), context()).unwrap();
    interview.set("/data/a", "1").unwrap();
    assert!(!interview.answers().values.contains_key("b"));
    interview.set("/data/b", "5").unwrap();
    let stored = interview.answers();
    assert_eq!(text(&stored, "b"), "5");
    let mut again = Interview::open(form(), &stored, context(), Mode::Edit).unwrap();
    assert_eq!((value(&again, "/data/b"), again.answers()), ("5".to_owned(), stored));
    again.set("/data/a", "2").unwrap();
    assert_eq!(value(&again, "/data/b"), "3");
    assert!(!again.answers().values.contains_key("b"));
}

#[test]
fn a_new_instance_has_an_inner_one_where_a_group_is_between_them() {
    // As pyxform writes the template: an instance in a group, and none where a repeat stands in a repeat directly.
    let form = "#survey
        type|name|label
        begin_repeat|house|House
        begin_group|inside|Inside
        begin_repeat|room|Room
        text|colour|Colour
        end_repeat
        end_group
        begin_repeat|field|Field
        text|crop|Crop
        end_repeat
        end_repeat";
    let mut interview = Interview::start(Arc::new(read(form)), context()).unwrap();
    assert!(interview.has("/data/house[1]/inside/room[1]/colour") && interview.has("/data/house[1]/field[1]/crop"));
    interview.add("/data/house").unwrap();
    assert!(interview.has("/data/house[2]/inside/room[1]/colour"));
    assert!(!interview.has("/data/house[2]/field[1]/crop"));
}

#[test]
fn an_edited_submission_names_the_one_that_it_replaces() {
    let mut first = filled();
    first.set("/data/home/area", "130").unwrap();
    let sent = first.finalize().unwrap();
    let form = Arc::new(read(FORM));
    let back = received::read(&form, sent.xml.as_bytes()).unwrap();
    let later = Context::at(1_790_000_900_000, [4; 32]);
    let mut edited = Interview::open(form.clone(), &back.answers, later, Mode::Edit).unwrap();
    edited.set("/data/family", "Karimi").unwrap();
    let again = edited.finalize_edited(&back.instance_id).unwrap();
    assert!(again.xml.contains(&format!("<deprecatedID>{}</deprecatedID>", back.instance_id)), "{}", again.xml);
    let read_again = received::read(&form, again.xml.as_bytes()).unwrap();
    assert_ne!(read_again.instance_id, back.instance_id);
    assert!(read_again.instance_id.starts_with("uuid:"));
    assert_eq!(text(&read_again.answers, "family"), "Karimi");
    assert_eq!(again.xml.matches("<deprecatedID>").count(), 1);
}

#[test]
fn a_label_that_is_the_same_in_every_language_is_written_by_its_id() {
    let form = read(
        "#survey
        type|name|label::English (en)|label::Dari (prs)
        text|code|Code|Code",
    );
    let xml = karwan_form::xform::write(&form);
    assert!(xml.contains("<label ref=\"jr:itext('/data/code:label')\"/>"), "{xml}");
    assert_eq!(xml.matches("<text id=\"/data/code:label\"><value>Code</value></text>").count(), 2, "{xml}");
}
