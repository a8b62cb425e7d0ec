//! Structured logs on standard error: text for people, JSON for collectors.

use config::{LogFormat, LogLevel, LogSettings};
use tracing_subscriber::EnvFilter;

/// Libraries that write passwords of ICE into what they say at lower levels, whoever asks for those.
const TALKATIVE: [&str; 4] = ["str0m=warn", "str0m_proto=warn", "is=warn", "dimpl=warn"];

/// Starts logging for the whole process. `RUST_LOG` overrides the configured level.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(level_name(settings.level)));
    let filter = TALKATIVE
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start (tests in one process) keeps the first subscriber.
    let _ = match settings.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_talkative_libraries_quiet_can_be_read() {
        for directive in TALKATIVE {
            let directive = directive.parse::<tracing_subscriber::filter::Directive>();
            assert!(directive.is_ok(), "{directive:?}");
        }
    }
}
