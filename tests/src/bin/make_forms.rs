//! Writes generated workbooks and the files that they name into a folder: `make_forms DIR FROM TO`, seeds included. Programs of others read
//! them there.

use std::path::Path;

use karwan_tests::form_made;

const USAGE: &str = "usage: make_forms DIR FROM TO";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, from, to] = arguments.as_slice() else { return Err(USAGE.into()) };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    for (name, text) in form_made::media() {
        std::fs::write(folder.join(name), text)?;
    }
    for seed in from.parse::<u64>()?..=to.parse()? {
        std::fs::write(folder.join(format!("{seed}.xlsx")), form_made::form(seed).bytes()?)?;
    }
    Ok(())
}
