//! A phone is copied, another revoked, a record moved, one member of a family erased, and then the server is lost: told whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[test]
fn a_bad_week_and_a_restored_server_lose_nothing_and_undo_nothing() {
    let told = karwan_tests::scenario::run();
    assert!(told.broken.is_empty(), "{:#?}", told.broken);
    // Fewer would mean that a step was left out.
    assert!(told.checks >= 80, "{} checks", told.checks);
}
