//! The `karwan` command.

fn main() -> std::process::ExitCode {
    karwan_server::command::main()
}
