//! The demo's own command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::language::Language;

const USAGE_ENGLISH: &str = "\
Usage: cargo xtask demo [--headless] [--video FILE] [--audio FILE] [--seconds N] [--pictures DIR]

  --headless      open no window (the default where there is no display)
  --video FILE    what both cameras see; default: a moving scene with a burnt-in clock
  --audio FILE    what both microphones hear; default: spoken words
  --seconds N     end after N seconds, and fail when the rooms did not see each other
  --pictures DIR  with --seconds: save what each room sees and sends there, as JPEG";

const USAGE_CHINESE: &str = "\
用法：cargo xtask demo [--headless] [--video 文件] [--audio 文件] [--seconds N] [--pictures 目录]

  --headless      不打开窗口（没有显示器时的默认值）
  --video 文件    两个摄像头看到的画面；默认为带有内嵌时钟的动态场景
  --audio 文件    两个麦克风听到的声音；默认为语音
  --seconds N     N 秒后结束；如果两间会议室没有看到对方则失败
  --pictures 目录 与 --seconds 同用：把每间会议室看到和发送的画面保存为 JPEG";

/// What the visitor asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// No window.
    pub(super) headless: bool,
    /// What the cameras see.
    pub(super) video: Option<PathBuf>,
    /// What the microphones hear.
    pub(super) audio: Option<PathBuf>,
    /// When to end.
    pub(super) duration: Option<Duration>,
    /// Where pictures go.
    pub(super) pictures: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(language: Language, arguments: &[OsString]) -> Result<Self> {
        let mut options = Self {
            headless: !has_display(),
            ..Self::default()
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| needs_value(language, argument))
            };
            match argument.to_string_lossy().as_ref() {
                "--headless" => options.headless = true,
                "--video" => options.video = Some(existing_file(language, value()?)?),
                "--audio" => options.audio = Some(existing_file(language, value()?)?),
                "--seconds" => options.duration = Some(seconds(language, value()?)?),
                "--pictures" => options.pictures = Some(PathBuf::from(value()?)),
                _ => bail!(unknown_option(language, argument)),
            }
        }
        Ok(options)
    }
}

/// The demo's command line, explained.
pub(super) fn usage(language: Language) -> &'static str {
    language.choose(USAGE_ENGLISH, USAGE_CHINESE)
}

fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn needs_value(language: Language, option: &OsStr) -> String {
    let (option, usage) = (option.display(), usage(language));
    match language {
        Language::English => format!("{option} needs a value\n\n{usage}"),
        Language::Chinese => format!("{option} 缺少参数值\n\n{usage}"),
    }
}

fn unknown_option(language: Language, option: &OsStr) -> String {
    let (option, usage) = (option.display(), usage(language));
    match language {
        Language::English => format!("unknown option {option}\n\n{usage}"),
        Language::Chinese => format!("未知选项 {option}\n\n{usage}"),
    }
}

/// The file's absolute path: roomd does not start in this directory.
fn existing_file(language: Language, path: &OsStr) -> Result<PathBuf> {
    let path = Path::new(path);
    let absolute = path
        .canonicalize()
        .with_context(|| path.display().to_string())?;
    if !absolute.is_file() {
        bail!(
            "{}: {}",
            path.display(),
            language.choose("not a file", "不是文件")
        );
    }
    Ok(absolute)
}

fn seconds(language: Language, value: &OsStr) -> Result<Duration> {
    let seconds = value.to_str().and_then(|text| text.parse().ok());
    let seconds = seconds.with_context(|| {
        let problem = language.choose("not a whole number of seconds", "不是整数秒");
        format!("--seconds {}: {problem}", value.display())
    })?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        Options::parse(Language::English, &arguments)
    }

    #[test]
    fn seconds_and_headless_are_read() {
        let options = parse(&["--headless", "--seconds", "7"]).unwrap();
        assert!(options.headless);
        assert_eq!(options.duration, Some(Duration::from_secs(7)));
    }

    #[test]
    fn an_unknown_option_a_missing_value_and_an_absent_file_are_refused() {
        for arguments in [
            &["--fast"][..],
            &["--seconds"],
            &["--seconds", "soon"],
            &["--video", "/nonexistent/film.mp4"],
            &["--audio", "/"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
