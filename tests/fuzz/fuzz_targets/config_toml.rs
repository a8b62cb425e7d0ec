//! A configuration. What is accepted prints as a text that means the same, and what is refused is refused at a place
//! inside the text, in words of one line each.

#![no_main]

use std::path::Path;

use config::{ConfigError, Language, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Relative paths are taken from the directory of the file, so that printed ones are absolute.
    let file = Path::new("/etc/roomd/roomd.toml");
    match parse(text, file) {
        Ok(config) => {
            let printed = parse(&config.to_toml(), file).expect("what we print is valid");
            assert_eq!(printed, config);
        }
        Err(error) => check_complaint(text, &error),
    }
});

fn check_complaint(text: &str, error: &ConfigError) {
    let ConfigError::Invalid { problems, .. } = error else {
        panic!("no file was touched: {error}");
    };
    assert!(!problems.is_empty());
    let lines = text.split('\n').count();
    for problem in problems {
        assert!((1..=lines).contains(&problem.location.line));
    }
    for language in [Language::English, Language::Chinese] {
        assert!(!error.text(language).is_empty());
    }
}
