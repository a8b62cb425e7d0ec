//! `roomd`: the room service.

use std::process::ExitCode;

/// Serves all of the process, GStreamer and the codecs included. See [`roomd::process_memory`].
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    roomd::command_line::main()
}
