//! The command line of `roomd`: `run`, `check-config`, `create-certificate`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use config::Config;

use crate::error::Error;
use crate::{certificate, logging, service};

/// Where the configuration is when no `--config` says otherwise.
const DEFAULT_CONFIG: &str = "/etc/roomd/roomd.toml";

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
    Run {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG)]
        config: PathBuf,
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
}

/// Runs the command line of this process. Exit status: 0 success, 1 failure, 2 usage.
#[must_use]
pub fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Run { config } => run(&config),
        Command::CheckConfig { config } => check_config(&config),
        Command::CreateCertificate { directory, name, addresses } => {
            certificate::create(&directory, &name, &addresses)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roomd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command's definition, for its manual page.
#[must_use]
pub fn definition() -> clap::Command {
    <CommandLine as clap::CommandFactory>::command()
}

fn run(path: &Path) -> Result<(), Error> {
    let settings = Config::load(path)?;
    logging::start(&settings.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })?;
    runtime.block_on(service::run(settings))
}

fn check_config(path: &Path) -> Result<(), Error> {
    let settings = Config::load(path)?;
    println!("{}: {}", path.display(), config::text::configuration_is_valid(settings.room.language));
    Ok(())
}
