//! `roomd`: the room service.

use std::process::ExitCode;

/// Serves all of the process, GStreamer and the codecs included. See [`roomd::process_memory`].
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    roomd::command_line::main()
}

#[cfg(test)]
mod tests {
    use tikv_jemalloc_ctl::{background_thread, opt};

    #[test]
    fn the_allocator_was_built_with_what_keeps_memory_flat() {
        // A build that does not read `.cargo/config.toml` would have jemalloc's own values.
        assert_eq!(opt::narenas::read().unwrap(), 1);
        assert!(background_thread::read().unwrap());
    }
}
