//! Keeps the process's memory in bounds.
//!
//! glibc gives each thread a heap ("arena") of its own, up to eight for each core, and a media
//! graph starts some thirty threads a call: pictures that one thread allocated and another freed
//! stay behind in them. It also learns from the first picture that is freed to keep pictures in
//! heaps, where a packet that lives on top of one holds it for ever. Two arenas for what is small
//! and mappings of their own for pictures keep a room's memory flat over many calls, and give it
//! back when a call ends.
//!
//! The kernel backs heaps and stacks by pages of 2 MB where it may, of which a thread's stack uses
//! a few kB: small pages only.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads once, before `main`.
const SETTINGS: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "2"),
    // In bytes: planes of a picture are larger, colour at 720p included; packets and sound are not.
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Bounds the memory of this process: starts the program anew, in this very process, with the
/// environment that glibc needs. What the supervisor has set stays, whatever its value.
pub fn bound() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        eprintln!("roomd: huge pages stay on, for more memory than needed: {error}");
    }
    let missing: Vec<_> = SETTINGS
        .into_iter()
        .filter(|(name, _)| env::var_os(name).is_none())
        .collect();
    if missing.is_empty() {
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
        .envs(missing)
        .exec();
    eprintln!("roomd: memory could not be bounded: {error}");
}
