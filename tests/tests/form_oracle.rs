//! Our engine beside ODK's: on real forms where they are at hand, and on generated ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use karwan_tests::figures::forms::FORMS_FULL;
use karwan_tests::form_made;
use karwan_tests::form_oracle::{Oracle, Run, generated, rare, shared};

/// At least this share of states must be identical.
const SHARE_LEAST: f64 = 0.98;

#[test]
fn real_forms_are_answered_as_odks_engine_answers_them() {
    let (Some(oracle), Some(shared)) = (Oracle::find(), shared()) else { return };
    // Each form with a seed whose events are short and count no thousand instances.
    for (name, seed) in [("rapid_needs", 1), ("expert_profile", 1)] {
        let xform = shared.join(format!("forms/{name}/{name}.xml")).canonicalize().unwrap();
        let form = karwan_form::read(&std::fs::read(&xform).unwrap(), "form.xml").unwrap();
        let media = shared.join("forms/_attachments").canonicalize().unwrap();
        let compared = oracle.compare(&xform, form, &media, Run { seed, events: 40 }, &["VR-"]).unwrap();
        println!("{name}: {compared}");
        assert!(compared.share() >= SHARE_LEAST, "{name}: {:#?}", compared.differences);
    }
}

#[test]
fn generated_forms_are_answered_as_odks_engine_answers_them() {
    let Some(oracle) = Oracle::find() else { return };
    let compared = generated(&oracle, 1, 3, 60);
    println!("generated: {compared}");
    assert!(compared.share() >= SHARE_LEAST, "{:#?}", compared.differences);
}

#[test]
fn every_type_and_function_occurs_a_hundred_times_in_the_full_run() {
    let (mut types, mut functions) = (BTreeMap::new(), BTreeMap::new());
    for seed in 1..=FORMS_FULL {
        form_made::form(seed).count(&mut types, &mut functions);
    }
    assert!(types.len() > 40, "{types:?}");
    assert_eq!(rare(&types, &functions), Vec::<String>::new());
}
