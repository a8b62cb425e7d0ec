//! The command line: what can be typed, and its help in English and Chinese.

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
  1  denied by the room, or refused by roomd
  2  wrong usage, or a leg must be named
  3  roomd cannot be reached
  4  the answer cannot be understood or written";

const EXIT_STATUS_CHINESE: &str = "\
退出状态:
  0  已完成,或原本如此
  1  被会议室或 roomd 拒绝
  2  用法错误,或必须指明通话
  3  无法连接 roomd
  4  无法理解或写入答复";

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
        Language::Chinese => in_chinese(Arguments::command()),
    }
}

fn in_chinese(command: clap::Command) -> clap::Command {
    let mut command = command
        .about("控制会议室")
        .after_help(EXIT_STATUS_CHINESE)
        .mut_arg("socket", |arg| arg.help("roomd 的套接字"))
        .mut_arg("json", |arg| arg.help("输出供程序使用的 JSON"))
        .mut_arg("language", |arg| arg.help("输出语言;默认为系统语言"));
    for (name, about, arguments) in CHINESE {
        command = command.mut_subcommand(name, |subcommand| {
            arguments
                .iter()
                .fold(subcommand.about(about), |subcommand, (argument, help)| {
                    subcommand.mut_arg(argument, |arg| arg.help(*help))
                })
        });
    }
    command
}

/// A command, what it does, and its arguments.
type ChineseHelp = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CHINESE: [ChineseHelp; 22] = [
    ("status", "显示会议室及其通话", &[]),
    (
        "call",
        "呼叫一个地址",
        &[
            ("target", "地址,例如 sip:board@example.com"),
            ("account", "使用的账户;默认由会议室选择"),
        ],
    ),
    ("join", "按下加入按钮", &[]),
    ("answer", "接听来电", &[("leg", "有多个来电时指明哪一路")]),
    ("decline", "拒接来电", &[("leg", "有多个来电时指明哪一路")]),
    ("hangup", "挂断", &[("leg", "哪一路;默认全部")]),
    (
        "mute",
        "静音(on)或开启(off)麦克风",
        &[("state", "所需状态")],
    ),
    (
        "camera",
        "显示(on)或隐藏(off)摄像头画面",
        &[("state", "所需状态")],
    ),
    (
        "slides",
        "在通话中展示(on)或停止展示(off)幻灯片",
        &[("state", "所需状态")],
    ),
    ("hold", "保持通话", &[("leg", "有多路通话时指明哪一路")]),
    (
        "resume",
        "恢复本方保持的通话",
        &[("leg", "有多路保持时指明哪一路")],
    ),
    (
        "dtmf",
        "发送按键音",
        &[
            ("digits", "1 到 64 个 0-9、*、#、A-D"),
            ("leg", "有多路通话时指明哪一路"),
        ],
    ),
    (
        "register",
        "重新注册失败或被锁定的账户",
        &[("account", "账户名称,见 status")],
    ),
    (
        "volume",
        "设置扬声器音量",
        &[("percent", "0(静音)到 100(最大)")],
    ),
    ("layout", "设置远端画面布局", &[("layout", "所需布局")]),
    ("watch", "持续显示变化,直到中断", &[]),
    (
        "picture",
        "将画面保存为 JPEG",
        &[
            ("file", "要写入的文件"),
            ("of", "谁的画面"),
            ("slides", "幻灯片,而非摄像头画面"),
            ("leg", "有多个远端时指明哪一路"),
        ],
    ),
    ("stats", "显示通话的测量数据", &[("leg", "哪一路;默认全部")]),
    (
        "sip-ladder",
        "绘制一路通话的 SIP 消息:发往何处、何时、得到何种应答",
        &[
            ("leg", "哪一路,可以已经结束;默认最新一路"),
            ("refused", "最近一次立即被拒绝的来电,例如陌生人的"),
            ("full", "同时输出消息内容,不含机密信息"),
            ("svg", "改为写入 SVG 图片"),
        ],
    ),
    ("openapi", "输出 API 的描述", &[]),
    (
        "completion",
        "输出 shell 的补全脚本",
        &[("shell", "哪种 shell")],
    ),
    ("man", "将手册页写入目录", &[("directory", "目录")]),
];

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
        ] {
            let error = arguments_from(words(line), Language::English).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_and_argument_has_chinese_help() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for subcommand in command(Language::Chinese).get_subcommands() {
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
