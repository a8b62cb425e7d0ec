//! The command line: what can be typed, and its help in English and Chinese.

mod chinese;

use std::ffi::OsString;
use std::path::PathBuf;

use api::Language;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Where roomd listens unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/roomd/api.sock";

const EXIT_STATUS_ENGLISH: &str = "\
Exit status:
  0  done, or already so
  1  denied by the room, refused by roomd, or a problem was found
  2  wrong usage, or a leg must be named
  3  roomd cannot be reached
  4  the answer cannot be understood or written";

/// Control a meeting room.
#[derive(Debug, Parser)]
#[command(name = "roomctl", version, after_help = EXIT_STATUS_ENGLISH)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The socket of roomd.
    #[arg(long, global = true, value_name = "PATH", env = "ROOMD_SOCKET",
          default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The language of the output; the locale's where not given.
    #[arg(long, global = true, value_name = "LANGUAGE")]
    pub(crate) language: Option<LanguageName>,
}

/// The languages by their tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LanguageName {
    /// English
    En,
    /// 中文
    Zh,
}

/// The commands.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show the room and its calls.
    Status,
    /// Call an address.
    Call {
        /// The address, such as sip:board@example.com.
        target: String,
        /// The account to call by; the room chooses where not given.
        #[arg(long)]
        account: Option<String>,
    },
    /// Press the join button.
    Join,
    /// Answer a ringing call.
    Answer {
        /// Which leg, when several ring.
        leg: Option<u32>,
    },
    /// Decline a ringing call.
    Decline {
        /// Which leg, when several ring.
        leg: Option<u32>,
    },
    /// Hang up.
    #[command(name = "hangup")]
    HangUp {
        /// Which leg; all of them where not given.
        leg: Option<u32>,
    },
    /// Mute (on) or open (off) the microphone.
    Mute {
        /// The wanted state.
        state: OnOff,
    },
    /// Show (on) or hide (off) the camera's picture.
    Camera {
        /// The wanted state.
        state: OnOff,
    },
    /// Show (on) slides in the call, or no more (off).
    Slides {
        /// The wanted state.
        state: OnOff,
    },
    /// Pause the media of a call.
    Hold {
        /// Which leg, when there are several.
        leg: Option<u32>,
    },
    /// Go on with a call that was held here.
    Resume {
        /// Which leg, when several are held.
        leg: Option<u32>,
    },
    /// Send touch tones.
    Dtmf {
        /// 1 to 64 of 0-9, *, #, A-D.
        digits: String,
        /// Which leg, when there are several.
        #[arg(long)]
        leg: Option<u32>,
    },
    /// Have an account registered again, which failed or is locked.
    Register {
        /// Its name, as the status shows it.
        account: String,
    },
    /// Set the loudspeaker's volume.
    Volume {
        /// 0 (silent) to 100 (full).
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
    },
    /// Arrange the far ends on the screen.
    Layout {
        /// The wanted layout.
        layout: LayoutName,
    },
    /// Show each change until interrupted.
    Watch,
    /// Save a picture as JPEG.
    Picture {
        /// The file to write.
        file: PathBuf,
        /// Whose picture.
        #[arg(long, default_value = "far-end")]
        of: PictureName,
        /// The slides instead of the camera's picture.
        #[arg(long)]
        slides: bool,
        /// Which far end's, when there are several.
        #[arg(long)]
        leg: Option<u32>,
    },
    /// Show the measurements of the calls.
    Stats {
        /// Which leg; all of them where not given.
        leg: Option<u32>,
    },
    /// Draw the SIP messages of a call: which went where, when, and what was answered.
    SipLadder {
        /// Which leg, over or not; the newest where not given.
        leg: Option<u32>,
        /// The last call that was refused at once, as strangers' are.
        #[arg(long, conflicts_with = "leg")]
        refused: bool,
        /// Print the messages too. Secrets are removed.
        #[arg(long)]
        full: bool,
        /// Write the drawing as an SVG picture instead.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Links by which guests join from a browser, and the certificate of their server.
    Guests {
        /// What to do.
        #[command(subcommand)]
        command: GuestsCommand,
    },
    /// Print the description of the API.
    #[command(name = "openapi")]
    OpenApi,
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages into a directory.
    #[command(hide = true)]
    Man {
        /// The directory.
        directory: PathBuf,
    },
}

/// The commands about guests.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum GuestsCommand {
    /// Make a link to the meeting, and print it. Nobody can be shown it again.
    Invite {
        /// What to call it in the list.
        #[arg(long)]
        label: Option<String>,
        /// How long it is good for, in minutes: 5 to 43200; as configured where not given.
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(5..=43_200))]
        lifetime: Option<u32>,
        /// Whether its guests knock; as configured where not given.
        #[arg(long)]
        admit: Option<AdmitName>,
    },
    /// List the links that are good.
    List,
    /// End a link, and the calls of who came by it.
    Revoke {
        /// Its number, from the list.
        invitation: u32,
    },
    /// Have the guests' server certified anew by ACME now, whatever failed before, unless its server wants it later.
    RenewCertificate,
    /// Test whether guests reach the room: the page, the TURN servers, the public address.
    Test,
}

/// Whether guests knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AdmitName {
    /// Somebody in the room lets them in, by answering
    Ask,
    /// Whoever has the link is in
    Automatically,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// on
    On,
    /// off
    Off,
}

/// The layouts by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// One far end fills the screen
    Single,
    /// All far ends side by side
    Grid,
    /// The own camera small in a corner
    PictureInPicture,
}

/// Whose picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PictureName {
    /// What the room sends
    Sent,
    /// What a far end sends
    FarEnd,
}

/// The language of texts, before the command line is parsed: its help needs it too.
#[must_use]
pub fn language_of(words: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Language {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let asked = words.iter().enumerate().find_map(|(position, word)| {
        if word == "--language" {
            words.get(position + 1).map(AsRef::as_ref)
        } else {
            word.strip_prefix("--language=")
        }
    });
    if let Some(language) = asked.and_then(Language::from_tag) {
        return language;
    }
    // The first that is set decides (POSIX.1 section 8.2).
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    locale
        .as_deref()
        .and_then(Language::from_tag)
        .unwrap_or_default()
}

/// Reads the command line.
///
/// # Errors
/// clap's own, which is also how help and version come out: `error.exit()` does the right thing.
pub fn arguments_from(words: Vec<OsString>, language: Language) -> Result<Arguments, clap::Error> {
    let matches = command(language).try_get_matches_from(words)?;
    Arguments::from_arg_matches(&matches)
}

/// The command line as clap knows it, with its help in a language.
#[must_use]
pub fn command(language: Language) -> clap::Command {
    match language {
        Language::English => Arguments::command(),
        Language::Chinese => chinese::in_chinese(Arguments::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn parsed(line: &str) -> Command {
        arguments_from(words(line), Language::English)
            .unwrap()
            .command
    }

    #[test]
    fn the_definition_is_sound_in_both_languages() {
        for language in [Language::English, Language::Chinese] {
            command(language).debug_assert();
        }
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parsed("roomctl status --json"), Command::Status);
        assert_eq!(parsed("roomctl hangup"), Command::HangUp { leg: None });
        assert_eq!(parsed("roomctl answer 7"), Command::Answer { leg: Some(7) });
        assert_eq!(
            parsed("roomctl mute on"),
            Command::Mute { state: OnOff::On }
        );
        assert_eq!(
            parsed("roomctl slides on"),
            Command::Slides { state: OnOff::On }
        );
        assert_eq!(
            parsed("roomctl picture x.jpg --of sent --slides"),
            Command::Picture {
                file: "x.jpg".into(),
                of: PictureName::Sent,
                slides: true,
                leg: None,
            }
        );
        assert_eq!(
            parsed("roomctl dtmf 12# --leg 2"),
            Command::Dtmf {
                digits: "12#".into(),
                leg: Some(2)
            }
        );
        assert_eq!(
            parsed("roomctl sip-ladder 3 --full --svg call.svg"),
            Command::SipLadder {
                leg: Some(3),
                refused: false,
                full: true,
                svg: Some("call.svg".into()),
            }
        );
        assert_eq!(
            parsed("roomctl guests invite --lifetime 90 --admit automatically"),
            Command::Guests {
                command: GuestsCommand::Invite {
                    label: None,
                    lifetime: Some(90),
                    admit: Some(AdmitName::Automatically),
                }
            }
        );
        assert_eq!(
            parsed("roomctl layout picture-in-picture"),
            Command::Layout {
                layout: LayoutName::PictureInPicture
            }
        );
    }

    #[test]
    fn wrong_usage_is_refused_with_status_2() {
        for line in [
            "roomctl",
            "roomctl volume 101",
            "roomctl mute",
            "roomctl slides",
            "roomctl slides next",
            "roomctl answer x",
            "roomctl sip-ladder 3 --refused",
            "roomctl guests",
            "roomctl guests renew-certificate now",
            "roomctl guests invite --lifetime 4",
            "roomctl guests revoke",
        ] {
            let error = arguments_from(words(line), Language::English).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_and_argument_has_chinese_help() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let mut waiting: Vec<_> = command(Language::Chinese)
            .get_subcommands()
            .cloned()
            .collect();
        while let Some(subcommand) = waiting.pop() {
            waiting.extend(subcommand.get_subcommands().cloned());
            let about = subcommand.get_about().unwrap().to_string();
            assert!(is_chinese(&about), "{}", subcommand.get_name());
            for argument in subcommand.get_arguments() {
                let help = argument.get_help().unwrap().to_string();
                assert!(
                    is_chinese(&help),
                    "{} {}",
                    subcommand.get_name(),
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn the_language_is_the_options_then_the_locales() {
        let locale = |name: &str| (name == "LANG").then(|| "zh_CN.UTF-8".to_owned());
        assert_eq!(
            language_of(&words("roomctl status"), locale),
            Language::Chinese
        );
        let english = [
            words("roomctl --language en"),
            words("roomctl --language=en status"),
        ];
        for line in english {
            assert_eq!(language_of(&line, locale), Language::English);
        }
        let overridden = |name: &str| match name {
            "LC_ALL" => Some("C".to_owned()),
            _ => locale(name),
        };
        assert_eq!(
            language_of(&words("roomctl status"), overridden),
            Language::English
        );
    }
}
