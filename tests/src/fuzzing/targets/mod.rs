//! The targets, one a file.

pub mod answers;
pub mod expression;
pub mod external;
pub mod xform;
pub mod xlsform;

use std::path::Path;

/// The workbooks of `server/programmes`.
pub fn programmes() -> Vec<Vec<u8>> {
    const BOOKS: [&str; 4] = [
        "cultural_orientation/orientation_session.xlsx",
        "rapid_needs/rapid_needs.xlsx",
        "voluntary_return/return_registration.xlsx",
        "voluntary_return/return_visit.xlsx",
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/programmes");
    BOOKS.into_iter().filter_map(|book| std::fs::read(folder.join(book)).ok()).collect()
}
