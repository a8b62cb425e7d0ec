//! `roomctl`: see the library.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().collect();
    let language = roomctl::language_of(&words, |name| env::var(name).ok());
    // Ends the process by itself for --help, --version and wrong usage (status 2).
    let arguments = roomctl::arguments_from(words, language).unwrap_or_else(|error| error.exit());
    match roomctl::run(&arguments, language) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(text) = error.text(language) {
                eprintln!("roomctl: {text}");
            }
            error.exit_status().into()
        }
    }
}
