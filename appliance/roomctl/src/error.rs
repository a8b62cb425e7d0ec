//! What can keep a command from being carried out, and the exit status that says so.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use api::{Admission, Language, Localized, Problem};

/// What the exit status of `roomctl` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// The room did it, or it was so already.
    Done = 0,
    /// The room denied it, roomd refused the request, or a test has found a problem.
    Denied = 1,
    /// The command line is wrong, or does not say which leg is meant.
    Usage = 2,
    /// roomd cannot be reached.
    Unreachable = 3,
    /// roomd's answer cannot be understood or its content cannot be written.
    BadAnswer = 4,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command was not carried out. `Display` is English.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The room denied the request. With `--json` its answer was printed already.
    Denied(Admission),
    /// roomd refused the request before the room saw it.
    Refused(Problem),
    /// The test of the ways of guests has found a problem, which was printed.
    ProblemFound,
    /// No leg is in the state that the command needs.
    NoLeg,
    /// Several legs are; one must be named.
    WhichLeg {
        /// Those that fit.
        candidates: Vec<u32>,
    },
    /// The socket cannot be opened, or the connection broke.
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The answer is not what the API promises.
    BadAnswer {
        /// What is wrong with it.
        detail: String,
    },
    /// A file cannot be written.
    Write {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Whoever read the output has gone, as `head` does. Nothing to complain about.
    OutputClosed,
}

impl Error {
    /// The exit status that goes with it.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Denied(_) | Self::Refused(_) | Self::ProblemFound | Self::NoLeg => {
                ExitStatus::Denied
            }
            Self::WhichLeg { .. } => ExitStatus::Usage,
            Self::Unreachable { .. } => ExitStatus::Unreachable,
            Self::BadAnswer { .. } | Self::Write { .. } => ExitStatus::BadAnswer,
            Self::OutputClosed => ExitStatus::Done,
        }
    }

    /// The error in words; `None` when there is nothing to say.
    #[must_use]
    pub fn text(&self, language: Language) -> Option<String> {
        Some(match language {
            Language::English => self.english()?,
            Language::Chinese => self.chinese()?,
        })
    }

    fn english(&self) -> Option<String> {
        Some(match self {
            Self::Denied(admission) => denial(admission, Language::English)?,
            Self::Refused(problem) => format!("{} ({})", problem.message, problem.hint),
            Self::ProblemFound => "not every way of guests works".into(),
            Self::NoLeg => "there is no leg to do that with (see roomctl status)".into(),
            Self::WhichLeg { candidates } => {
                format!("several legs fit, name one of them: {}", list(candidates))
            }
            Self::Unreachable { socket, source } => format!(
                "roomd cannot be reached on {}: {source} (is it running? may you use the socket?)",
                socket.display()
            ),
            Self::BadAnswer { detail } => format!("roomd's answer cannot be understood: {detail}"),
            Self::Write { file, source } => {
                format!("{}: cannot be written: {source}", file.display())
            }
            Self::OutputClosed => return None,
        })
    }

    fn chinese(&self) -> Option<String> {
        Some(match self {
            Self::Denied(admission) => denial(admission, Language::Chinese)?,
            Self::Refused(problem) => format!("{}({})", problem.message, problem.hint),
            Self::ProblemFound => "并非访客的所有途径都正常".into(),
            Self::NoLeg => "没有可执行此操作的通话(参见 roomctl status)".into(),
            Self::WhichLeg { candidates } => {
                format!("有多路通话符合,请指明其中之一:{}", list(candidates))
            }
            Self::Unreachable { socket, source } => format!(
                "无法通过 {} 连接 roomd:{source}(它在运行吗?您有权使用该套接字吗?)",
                socket.display()
            ),
            Self::BadAnswer { detail } => format!("无法理解 roomd 的答复:{detail}"),
            Self::Write { file, source } => format!("{}:无法写入:{source}", file.display()),
            Self::OutputClosed => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english().unwrap_or_default())
    }
}

/// The reason of a denial in our own words: the server's follow its own idea of the language.
fn denial(admission: &Admission, language: Language) -> Option<String> {
    match admission {
        Admission::Denied { code, .. } => Some(code.text(language).into_owned()),
        Admission::Accepted { .. } | Admission::AlreadySo => None,
    }
}

fn list(legs: &[u32]) -> String {
    legs.iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
