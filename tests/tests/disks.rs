//! Disks that refuse, fill up, tear writes and forget what was not synced, under a real phone and a real server: nothing acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::faults::disk::{Counted, Fault, Plan};
use karwan_tests::faults::points::{Field, Toll, Whose};

/// Points in the tests; `figures -- disk_fault_points` goes to all of them.
const POINTS: u64 = 100;

#[test]
fn disks() {
    // One after the other: a process has one default file system, and on it one disk that fails.
    let field = Field::prepare();
    no_fault_of_a_disk_loses_what_was_acknowledged(&field);
    a_disk_that_lies_about_what_it_synced_is_found_out(&field);
}

fn a_disk_that_lies_about_what_it_synced_is_found_out(field: &Field) {
    for whose in [Whose::Phone, Whose::Server] {
        let length = field.point(whose, None, &mut Toll::default());
        let mut toll = Toll::default();
        for eighth in 1..8 {
            field.point(
                whose,
                Some(Plan { counted: Counted::Operations, at: length * eighth / 8, fault: Fault::PowerCutAfterLies }),
                &mut toll,
            );
        }
        assert!(!toll.broken.is_empty(), "{whose:?}: what the disk forgot was not missed");
    }
}

fn no_fault_of_a_disk_loses_what_was_acknowledged(field: &Field) {
    let toll = field.sweep(POINTS, |_| {});
    println!("{} points, {} of them ended a process, {} databases salvaged", toll.points, toll.died, toll.salvaged);
    assert!(toll.broken.is_empty(), "{}", toll.broken.join("\n"));
    assert!(toll.points >= POINTS);
    assert!(toll.died * 3 >= toll.points, "too few points ended a process to tell anything: {toll:?}");
}
