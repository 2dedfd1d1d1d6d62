//! Records what this version writes to disks and to the wire: `record VERSION` makes `tests/recorded/VERSION`, which is kept.

use karwan_tests::recorded;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version] = arguments.as_slice() else { return Err("usage: record VERSION".into()) };
    std::fs::create_dir_all(recorded::folder())?;
    recorded::record(&recorded::folder().join(version));
    Ok(())
}
