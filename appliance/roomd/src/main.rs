//! `roomd`: the room service.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomd::command_line::main()
}
