//! The `karwan` command.

/// Records are made of many small texts, which come and go on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    karwan_server::command::main()
}
