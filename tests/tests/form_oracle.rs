//! Our engine beside ODK's: on real forms where they are at hand, and on generated ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::form_oracle::{Oracle, generated, shared};

/// At least this share of states must be identical.
const SHARE_LEAST: f64 = 0.98;

#[test]
fn real_forms_are_answered_as_odks_engine_answers_them() {
    let (Some(oracle), Some(shared)) = (Oracle::find(), shared()) else { return };
    // Each form with a seed whose events are short and count no thousand instances.
    for (name, seed) in [("rapid_needs", 1), ("expert_profile", 1)] {
        let form = std::fs::read_to_string(shared.join(format!("forms/{name}/{name}.xml"))).unwrap();
        let Some(compared) = oracle.compare(&form, &shared.join("forms/_attachments"), seed, 40, &["VR-"]) else { continue };
        println!(
            "{name}: {} of {} states, {} of {} where more changed",
            compared.identical, compared.states, compared.changing_identical, compared.changing
        );
        assert!(compared.share() >= SHARE_LEAST, "{name}: {:#?}", compared.differences);
    }
}

#[test]
fn generated_forms_are_answered_as_odks_engine_answers_them() {
    let Some(oracle) = Oracle::find() else { return };
    let compared = generated(&oracle, 3, 60);
    println!(
        "generated: {} of {} states, {} of {} where more changed",
        compared.identical, compared.states, compared.changing_identical, compared.changing
    );
    assert!(compared.share() >= SHARE_LEAST, "{:#?}", compared.differences);
}
