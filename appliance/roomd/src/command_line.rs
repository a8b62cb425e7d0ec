//! The command line of `roomd`: `run`, `check-config`, `create-certificate`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use config::{Config, Language, Loaded, Origin, Store};
use room::CertificateValidity;

use crate::certificate_expiry::CertificateExpiry;
use crate::error::Error;
use crate::service::Directories;
use crate::{certificate, logging, process_memory, service, settings};

/// Where the configuration is when no `--config` says otherwise.
const DEFAULT_CONFIG: &str = "/etc/roomd/roomd.toml";
/// Where the service keeps its state when nothing else says so.
const DEFAULT_STATE: &str = "/var/lib/roomd";
/// The copy of the last configuration that was good, in the state directory.
const LAST_GOOD_CONFIG: &str = "last-good.toml";
/// How long a write that is under way at the end may still take.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(2);

/// The room service: joins meetings with the room's cameras and microphones.
#[derive(Debug, Parser)]
#[command(name = "roomd", version, about, long_about = None)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT.
    ///
    /// A configuration that is good is kept in the state directory. One that is not good is refused
    /// in the log, and the room runs on the last good one; where there is none, roomd ends.
    Run {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// Where the room keeps what it must remember.
        #[arg(long, env = "STATE_DIRECTORY", default_value = DEFAULT_STATE)]
        state: PathBuf,
        /// Where systemd puts credentials.
        #[arg(long, env = "CREDENTIALS_DIRECTORY")]
        credentials: Option<PathBuf>,
    },
    /// Check a configuration file and say what is wrong with it.
    CheckConfig {
        /// The configuration file.
        #[arg(default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Create a certificate authority of your own, if DIRECTORY has none yet, and a certificate
    /// that it signs.
    CreateCertificate {
        /// Where the PEM files go: authority.pem, NAME.pem, NAME.key.
        directory: PathBuf,
        /// The host name that peers dial.
        #[arg(long)]
        name: String,
        /// An address that peers dial; may be repeated.
        #[arg(long = "address")]
        addresses: Vec<IpAddr>,
    },
    /// Write the manual pages into DIRECTORY.
    #[command(hide = true)]
    Man {
        /// An existing directory.
        directory: PathBuf,
    },
}

/// Runs the command line of this process. Exit status: 0 success, 1 failure, 2 usage.
#[must_use]
pub fn main() -> ExitCode {
    let language = language_of_environment();
    let result = match CommandLine::parse().command {
        Command::Run {
            config,
            state,
            credentials,
        } => run(&config, &Directories { state, credentials }),
        Command::CheckConfig { config } => check_config(&config, language),
        Command::CreateCertificate {
            directory,
            name,
            addresses,
        } => certificate::create(&directory, &name, &addresses),
        Command::Man { directory } => write_manual(&directory),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roomd: {}", error.text(language));
            ExitCode::FAILURE
        }
    }
}

/// Writes `roomd.1` and a page for each command.
fn write_manual(directory: &Path) -> Result<(), Error> {
    let command = <CommandLine as clap::CommandFactory>::command();
    clap_mangen::generate_to(command, directory).map_err(|source| Error::Manual {
        path: directory.to_owned(),
        source,
    })
}

fn run(path: &Path, directories: &Directories) -> Result<(), Error> {
    process_memory::bound();
    let state = service::create_state_directory(&directories.state);
    let last_good = directories.state.join(LAST_GOOD_CONFIG);
    let Loaded { config, origin } = Store::new(path.to_owned(), last_good).load_or_last_good()?;
    logging::start(&config.log);
    report_origin(&origin);
    for warning in config.warnings() {
        tracing::warn!("{}", warning.words(Language::English));
    }
    // Asked only now: what is wrong with the configuration is to be said first.
    state?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    let result = runtime.block_on(service::run(config, directories));
    // Dropping the runtime would wait, for however long, for a write that hangs.
    runtime.shutdown_timeout(LAST_WRITE_LIMIT);
    result
}

/// A room that runs on a configuration which its owner has changed since must say so.
fn report_origin(origin: &Origin) {
    match origin {
        Origin::File { not_kept: None } => {}
        Origin::File {
            not_kept: Some(error),
        } => tracing::warn!(%error, "no copy of the configuration is kept for worse days"),
        Origin::LastGood { because } => tracing::error!(
            error = %because,
            "the configuration is not used: the room runs on the last good one"
        ),
    }
}

fn check_config(path: &Path, language: Language) -> Result<(), Error> {
    let config = Config::load(path)?;
    for warning in config.warnings() {
        eprintln!("{}: {}", path.display(), warning.text(language));
    }
    let tls = settings::tls(&config);
    match CertificateExpiry::read(tls.certificate_chains()) {
        Ok(expiry) => {
            for (file, certificate) in expiry.at(SystemTime::now()) {
                if let Some(warning) = expiry_warning(certificate.validity, language) {
                    eprintln!("{file}: {warning}");
                }
            }
        }
        // A configuration may be checked on another machine than the one that it is for.
        Err(error) => eprintln!("{}", error.text(language)),
    }
    let verdict = match language {
        Language::English => "the configuration is valid",
        Language::Chinese => "配置有效",
    };
    println!("{}: {verdict}", path.display());
    Ok(())
}

fn expiry_warning(validity: CertificateValidity, language: Language) -> Option<&'static str> {
    let (english, chinese) = match validity {
        CertificateValidity::Good => return None,
        CertificateValidity::ExpiresSoon => (
            "warning: this certificate expires within 30 days",
            "警告：此证书将在 30 天内过期",
        ),
        CertificateValidity::Expired => (
            "warning: this certificate has expired",
            "警告：此证书已过期",
        ),
        CertificateValidity::NotYetValid => (
            "warning: this certificate is not valid yet (is the clock right?)",
            "警告：此证书尚未生效（时钟是否正确？）",
        ),
    };
    Some(match language {
        Language::English => english,
        Language::Chinese => chinese,
    })
}

/// The language of the person at this terminal: that of `LC_ALL`, `LC_MESSAGES` or `LANG`.
fn language_of_environment() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|locale| !locale.is_empty());
    if locale.is_some_and(|locale| locale.starts_with("zh")) {
        Language::Chinese
    } else {
        Language::English
    }
}
