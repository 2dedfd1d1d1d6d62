//! The `karwan` command.
fn main() {}
