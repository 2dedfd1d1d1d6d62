//! The house rules that a compiler does not check: what pure crates may use, which crate may know which, how long a room
//! may be, and that every room says what it is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

const PURE: [&str; 5] = ["core/form", "core/proto", "core/record", "core/linkage", "core/link"];

/// Longest source file. A longer one has two subjects.
const MAX_FILE_LINES: usize = 700;

/// Words whose presence in the source of a pure crate means that it reads a clock, a random source, a disk or a network.
const IMPURE: [&str; 16] = [
    "SystemTime",
    "Instant::now",
    "now_utc(",
    "now_local(",
    "Utc::now",
    "thread_rng",
    "rand::",
    "getrandom",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "tokio",
    "HashMap",
    "HashSet",
    "thread::spawn",
];

/// Who may depend on whom: `form, proto <- record <- store <- client <- ffi` and `form, proto, record, linkage <- server`.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("core/form", &[]),
    ("core/proto", &[]),
    ("core/linkage", &[]),
    ("core/link", &[]),
    ("core/record", &["form", "proto", "linkage"]),
    ("core/store", &["form", "proto", "record", "linkage"]),
    ("core/client", &["form", "proto", "record", "link", "linkage", "store"]),
    ("ffi", &["client"]),
    ("server", &["form", "proto", "record", "linkage", "client"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !matches!(path.file_name().and_then(|name| name.to_str()), Some("target" | "node_modules" | ".git")) {
                files(&path, ending, found);
            }
        } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn rust_files(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root().join(under), ".rs", &mut found);
    found.sort();
    found
}

/// What automerge takes to make a map, and sorts by key itself.
const ALLOWED_LINES: [&str; 2] = [
    "#[allow(clippy::disallowed_types, reason = \"automerge takes a HashMap here and sorts it by key itself\")]",
    "entries.into_iter().collect::<std::collections::HashMap<_, _>>().into()",
];

/// The impure words of a source text, comments and its `#[cfg(test)]` part aside.
fn impure_words(source: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            break;
        }
        if ALLOWED_LINES.contains(&line.trim()) {
            continue;
        }
        let code = line.split("//").next().unwrap_or("");
        found.extend(IMPURE.iter().filter(|word| code.contains(**word)).map(|word| (index + 1, *word)));
    }
    found
}

#[test]
fn pure_crates_read_no_clock_no_chance_no_disk_and_no_network() {
    let mut faults = Vec::new();
    for folder in PURE {
        for file in rust_files(&format!("{folder}/src")) {
            for (line, word) in impure_words(&fs::read_to_string(&file).unwrap()) {
                faults.push(format!("{}:{line}: {word}", file.display()));
            }
        }
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for word in ["tokio", "rand", "rusqlite", "quinn", "getrandom"] {
            if dependencies.lines().any(|line| line.starts_with(&format!("{word}.")) || line.starts_with(&format!("{word} "))) {
                faults.push(format!("{folder}/Cargo.toml: {word}"));
            }
        }
    }
    assert!(faults.is_empty(), "a pure crate takes time, randomness and I/O as arguments:\n{}", faults.join("\n"));
}

#[test]
fn the_check_of_purity_finds_a_planted_clock() {
    let planted = "fn f() {}\n// SystemTime in a comment is nothing\nlet t = SystemTime::now();\n#[cfg(test)]\nuse std::fs;\n";
    assert_eq!(impure_words(planted), vec![(3, "SystemTime")]);
}

#[test]
fn crates_know_only_whom_the_design_lets_them_know() {
    let mut faults = Vec::new();
    for (folder, allowed) in ALLOWED {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("karwan-") && line.contains("workspace")) {
            let name = line.trim_start_matches("karwan-").split(['.', ' ']).next().unwrap();
            if !allowed.contains(&name) {
                faults.push(format!("{folder} depends on karwan-{name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_room_says_what_it_is_for_and_is_one_room() {
    let mut faults = Vec::new();
    for under in ["core", "server", "ffi", "tests", "mobile-bindings"] {
        for file in rust_files(under) {
            let source = fs::read_to_string(&file).unwrap();
            let lines = source.lines().count();
            if lines > MAX_FILE_LINES {
                faults.push(format!("{}: {lines} lines, at most {MAX_FILE_LINES}", file.display()));
            }
            if !source.trim_start().starts_with("//!") {
                faults.push(format!("{}: does not open with what it is for", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_unfinished_and_no_machine_path_is_in_the_source() {
    // Put together here, so that this file does not find itself.
    let words = [["to", "do!("].concat(), ["unimpl", "emented!("].concat(), ["/wo", "rk/"].concat(), ["FIX", "ME"].concat()];
    let mut faults = Vec::new();
    for under in ["core", "server", "ffi", "tests", "mobile-bindings", "docs"] {
        for ending in [".rs", ".md", ".sh", ".html", ".kt", ".swift"] {
            let mut found = Vec::new();
            files(&root().join(under), ending, &mut found);
            for file in found {
                let source = fs::read_to_string(&file).unwrap();
                for (index, line) in source.lines().enumerate() {
                    faults.extend(
                        words
                            .iter()
                            .filter(|word| line.contains(word.as_str()))
                            .map(|word| format!("{}:{}: {word}", file.display(), index + 1)),
                    );
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_has_a_readme() {
    for folder in [
        "core/form",
        "core/proto",
        "core/record",
        "core/linkage",
        "core/link",
        "core/store",
        "core/client",
        "ffi",
        "server",
        "tests",
    ] {
        assert!(root().join(folder).join("README.md").is_file(), "{folder}/README.md is missing");
    }
}
