//! Keeps the process's memory in bounds.
//!
//! glibc gives each thread a heap ("arena") of its own, up to eight for each core, and a media
//! graph starts some thirty threads a call: pictures that one thread allocated and another freed
//! stay behind in them. Two arenas keep a room's memory flat over many calls.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// glibc reads this once, before `main`.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Limits the arenas of this process: starts the program anew, in this very process, with the
/// environment that glibc needs. Does nothing where the supervisor has set it, whatever its value.
pub fn limit_arenas() {
    if env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut arguments = env::args_os();
    let name = arguments
        .next()
        .unwrap_or_else(|| program.clone().into_os_string());
    // Comes back only on failure; then the room runs with more memory than it needs.
    let error = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(ARENAS, "2")
        .exec();
    eprintln!("roomd: {ARENAS} could not be set: {error}");
}
