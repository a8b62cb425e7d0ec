//! The room from the command line: a client of roomd's API without any privilege of its own.
//!
//! ```text
//!  arguments ─> command_line ─> run ─> client ─> Unix socket of roomd
//!                                └──> show ─> terminal (aligned, in colour) or --json
//! ```
//!
//! The exit status is part of the interface: see [`ExitStatus`].

mod change_lines;
mod client;
mod command_line;
mod error;
mod manual;
mod run;
mod show;
mod sip_ladder;
mod terminal;

pub use command_line::{Arguments, Command, arguments_from, command, language_of};
pub use error::{Error, ExitStatus};
pub use manual::write_manual;
pub use run::run;
