//! The words of errors, in English and Chinese.

use std::path::Path;

use crate::error::{ConfigError, Problem, ProblemCause, Rule, WriteStep};
use crate::language::Language;
use crate::secret::SecretError;

impl ConfigError {
    /// The error in words: one line for each problem, with file, line, column, key, what is wrong
    /// and what to write instead.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Read { file, source } => match language {
                Language::English => format!("{}: cannot be read: {source}", file.display()),
                Language::Chinese => format!("{}:无法读取:{source}", file.display()),
            },
            Self::Invalid { file, problems } => {
                let lines: Vec<_> = problems
                    .iter()
                    .map(|problem| problem.text(file, language))
                    .collect();
                lines.join("\n")
            }
            Self::Write { file, step, source } => {
                let file = file.display();
                let (step_text, outcome) = (step.text(language), step.outcome(language));
                match language {
                    Language::English => {
                        format!("{file}: {step_text} failed, {outcome}: {source}")
                    }
                    Language::Chinese => format!("{file}:{step_text}失败,{outcome}:{source}"),
                }
            }
        }
    }
}

impl SecretError {
    /// The error in words. No part of the secret is in it.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match (language, self) {
            (Language::English, _) => self.to_string(),
            (Language::Chinese, Self::Read { file, source }) => {
                format!("{}:无法读取:{source}", file.display())
            }
            (Language::Chinese, Self::WorldReadable { file }) => {
                let file = file.display();
                format!("{file} 对所有人可读:请运行 chmod 600 {file}")
            }
            (Language::Chinese, Self::Size { file }) => {
                format!("{} 为空或超过 4096 字节", file.display())
            }
            (Language::Chinese, Self::NoCredentials { name }) => format!(
                "找不到凭据 {name}:未设置 $CREDENTIALS_DIRECTORY(请在服务单元中加入 LoadCredential={name})"
            ),
        }
    }
}

impl WriteStep {
    fn text(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::English, Self::Create) => "creating the new file",
            (Language::English, Self::Write) => "writing the new file",
            (Language::English, Self::Sync) => "bringing the new file to the disk",
            (Language::English, Self::Replace) => "replacing the old file",
            (Language::English, Self::SyncDirectory) => "bringing the new file's name to the disk",
            (Language::Chinese, Self::Create) => "创建新文件",
            (Language::Chinese, Self::Write) => "写入新文件",
            (Language::Chinese, Self::Sync) => "将新文件写入磁盘",
            (Language::Chinese, Self::Replace) => "替换原文件",
            (Language::Chinese, Self::SyncDirectory) => "将新文件名写入磁盘",
        }
    }

    /// Which content the file has after the step has failed.
    fn outcome(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Create | Self::Write | Self::Sync | Self::Replace, Language::English) => {
                "the old file is untouched"
            }
            (Self::Create | Self::Write | Self::Sync | Self::Replace, Language::Chinese) => {
                "原文件未改动"
            }
            (Self::SyncDirectory, Language::English) => {
                "the new file is in place, but a power cut may bring the old one back"
            }
            (Self::SyncDirectory, Language::Chinese) => "新文件已就位,但断电后可能恢复为原文件",
        }
    }
}

impl Problem {
    /// `FILE:LINE:COLUMN: KEY: what is wrong (what to write instead)`.
    #[must_use]
    pub fn text(&self, file: &Path, language: Language) -> String {
        let place = format!("{}:{}", file.display(), self.location);
        let what = self.cause.what(language);
        let hint = self.cause.hint(language);
        match (language, self.key.is_root()) {
            (Language::English, true) => format!("{place}: {what} ({hint})"),
            (Language::English, false) => format!("{place}: {}: {what} ({hint})", self.key),
            (Language::Chinese, true) => format!("{place}:{what}({hint})"),
            (Language::Chinese, false) => format!("{place}:{}:{what}({hint})", self.key),
        }
    }
}

impl ProblemCause {
    /// What is wrong.
    #[must_use]
    pub fn what(&self, language: Language) -> String {
        match language {
            Language::English => self.what_english(),
            Language::Chinese => self.what_chinese(),
        }
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self, language: Language) -> String {
        match language {
            Language::English => self.hint_english(),
            Language::Chinese => self.hint_chinese(),
        }
    }

    fn what_english(&self) -> String {
        match self {
            Self::Syntax { detail } => format!("not valid TOML: {}", one_line(detail)),
            Self::NoVersion => "the file says no version".into(),
            Self::UnknownVersion => "a version that this program does not read".into(),
            Self::UnknownKey { .. } => "unknown key".into(),
            Self::PasswordInFile => "a password does not belong into this file".into(),
            Self::WrongType { detail } => format!("wrong type: {}", one_line(detail)),
            Self::BadValue { found, .. } => format!("bad value {found:?}"),
            Self::Missing { .. } => "missing".into(),
            Self::MissingFor { because, .. } => format!("missing, needed because of {because}"),
            Self::Pointless { unless } => format!("means nothing without {unless}"),
            Self::Conflict { with } => format!("cannot stand together with {with}"),
            Self::Duplicate { name } => format!("{name:?} is there twice"),
            Self::UnknownAccount { name, .. } => format!("there is no account {name:?}"),
        }
    }

    fn what_chinese(&self) -> String {
        match self {
            Self::Syntax { detail } => format!("不是有效的 TOML:{}", one_line(detail)),
            Self::NoVersion => "文件没有写明版本".into(),
            Self::UnknownVersion => "本程序不支持该版本".into(),
            Self::UnknownKey { .. } => "未知的键".into(),
            Self::PasswordInFile => "密码不应写在此文件中".into(),
            Self::WrongType { detail } => format!("类型错误:{}", one_line(detail)),
            Self::BadValue { found, .. } => format!("无效的值 {found:?}"),
            Self::Missing { .. } => "缺失".into(),
            Self::MissingFor { because, .. } => format!("缺失,因为设置了 {because}"),
            Self::Pointless { unless } => format!("没有 {unless} 时不起作用"),
            Self::Conflict { with } => format!("不能与 {with} 同时使用"),
            Self::Duplicate { name } => format!("{name:?} 重复"),
            Self::UnknownAccount { name, .. } => format!("没有名为 {name:?} 的账户"),
        }
    }

    fn hint_english(&self) -> String {
        match self {
            Self::Syntax { .. } => "correct the line".into(),
            Self::NoVersion => "write version = 1 as the first line".into(),
            Self::UnknownVersion => "write version = 1".into(),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => format!("did you mean {nearest}?"),
            Self::UnknownKey {
                nearest: None,
                known,
            } => {
                format!("known keys: {}", known.join(", "))
            }
            Self::PasswordInFile => {
                "remove it, put the password into a file of mode 600 and write \
                 password_file = \"/path/of/the/file\""
                    .into()
            }
            Self::WrongType { .. } => "write the type that is expected".into(),
            Self::BadValue { rule, .. }
            | Self::Missing { rule }
            | Self::MissingFor { rule, .. } => {
                format!("write {}", rule.english())
            }
            Self::Pointless { .. } | Self::Conflict { .. } => "remove one of the two".into(),
            Self::Duplicate { .. } => "choose another name".into(),
            Self::UnknownAccount { known, .. } if known.is_empty() => {
                "add an [[account]] of that name".into()
            }
            Self::UnknownAccount { known, .. } => format!("accounts: {}", known.join(", ")),
        }
    }

    fn hint_chinese(&self) -> String {
        match self {
            Self::Syntax { .. } => "请改正该行".into(),
            Self::NoVersion => "请在第一行写 version = 1".into(),
            Self::UnknownVersion => "请写 version = 1".into(),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => format!("是否想写 {nearest}?"),
            Self::UnknownKey {
                nearest: None,
                known,
            } => format!("可用的键:{}", known.join("、")),
            Self::PasswordInFile => {
                "请删除该行,把密码放入权限为 600 的文件,并写 password_file = \"/文件/路径\"".into()
            }
            Self::WrongType { .. } => "请使用要求的类型".into(),
            Self::BadValue { rule, .. }
            | Self::Missing { rule }
            | Self::MissingFor { rule, .. } => {
                format!("请写 {}", rule.chinese())
            }
            Self::Pointless { .. } | Self::Conflict { .. } => "请删除其中之一".into(),
            Self::Duplicate { .. } => "请换一个名称".into(),
            Self::UnknownAccount { known, .. } if known.is_empty() => {
                "请添加该名称的 [[account]]".into()
            }
            Self::UnknownAccount { known, .. } => format!("已有账户:{}", known.join("、")),
        }
    }
}

impl Rule {
    fn english(&self) -> String {
        match self {
            Self::OneOf(words) => quoted(words, " or "),
            Self::Between { least, most } => format!("a whole number from {least} to {most}"),
            Self::Text { most } => format!("1 to {most} characters without control characters"),
            Self::Name => "1 to 64 letters, digits, -, _ or .".into(),
            Self::Resolution => "a width that is a multiple of 8 and an even height such as \"1280x720\", at most \"3840x2160\"".into(),
            Self::SimulatedResolution => "a width of at least 640, or another source: simulated pictures carry a clock".into(),
            Self::Path => "the path of a file".into(),
            Self::SocketAddress => "an address and port such as \"0.0.0.0:5061\"".into(),
            Self::LoopbackAddress => "an address of this machine such as \"127.0.0.1:8080\"".into(),
            Self::SipAddress => "an address such as \"sip:room@example.com\"".into(),
            Self::SipTarget => {
                "an address such as \"sip:room@example.com\" or \"sip:meet.example.com\"".into()
            }
            Self::WebSocketPath => "a path that begins with \"/\", such as \"/ws\"".into(),
            Self::PublicUrl => {
                "the https URL of this server, such as \"https://room.example.com:8443\"".into()
            }
            Self::PublicAddress => {
                "an address that others reach, one of each IP version, such as \"203.0.113.7\"".into()
            }
            Self::TurnUrl => {
                "the URI of a TURN server, such as \"turn:turn.example.com?transport=udp\"".into()
            }
            Self::PublicName => {
                "an https URL with a name that everybody finds, such as \"https://room.example.com\": \
                 ACME certifies no addresses"
                    .into()
            }
            Self::DirectoryUrl => {
                "the https URL of an ACME directory, such as \"https://ca.example.com/acme/directory\""
                    .into()
            }
            Self::MailAddress => "a mail address such as \"owner@example.com\"".into(),
            Self::Agreed => {
                "true, once you have read and agreed to the terms of service of the ACME server".into()
            }
            Self::HostPort => "a host, or host and port, such as \"sip.example.com:5061\"".into(),
            Self::Peer => "a domain, an address or a network such as \"10.1.0.0/16\"".into(),
            Self::PortRange => {
                "first and last port, even first, four ports or more, such as \"16384-16483\""
                    .into()
            }
        }
    }

    fn chinese(&self) -> String {
        match self {
            Self::OneOf(words) => quoted(words, " 或 "),
            Self::Between { least, most } => format!("{least} 到 {most} 的整数"),
            Self::Text { most } => format!("1 到 {most} 个字符,不含控制字符"),
            Self::Name => "1 到 64 个字母、数字、-、_ 或 .".into(),
            Self::Resolution => {
                "宽度为 8 的倍数、高度为偶数,例如 \"1280x720\",最大 \"3840x2160\"".into()
            }
            Self::SimulatedResolution => "宽度至少为 640,或使用其他来源:模拟画面中带有时钟".into(),
            Self::Path => "文件路径".into(),
            Self::SocketAddress => "地址和端口,例如 \"0.0.0.0:5061\"".into(),
            Self::LoopbackAddress => "本机地址,例如 \"127.0.0.1:8080\"".into(),
            Self::SipAddress => "例如 \"sip:room@example.com\" 的地址".into(),
            Self::SipTarget => {
                "例如 \"sip:room@example.com\" 或 \"sip:meet.example.com\" 的地址".into()
            }
            Self::WebSocketPath => "以 \"/\" 开头的路径,例如 \"/ws\"".into(),
            Self::PublicUrl => {
                "本服务器的 https 地址,例如 \"https://room.example.com:8443\"".into()
            }
            Self::PublicAddress => {
                "他人可以到达的地址,每个 IP 版本一个,例如 \"203.0.113.7\"".into()
            }
            Self::TurnUrl => {
                "TURN 服务器的 URI,例如 \"turn:turn.example.com?transport=udp\"".into()
            }
            Self::PublicName => {
                "带有公共域名的 https 地址,例如 \"https://room.example.com\":ACME 不为 IP 地址签发证书".into()
            }
            Self::DirectoryUrl => {
                "ACME 目录的 https 地址,例如 \"https://ca.example.com/acme/directory\"".into()
            }
            Self::MailAddress => "邮件地址,例如 \"owner@example.com\"".into(),
            Self::Agreed => "true(请先阅读并同意 ACME 服务器的服务条款)".into(),
            Self::HostPort => "主机名,可带端口,例如 \"sip.example.com:5061\"".into(),
            Self::Peer => "域名、地址或网络,例如 \"10.1.0.0/16\"".into(),
            Self::PortRange => "起止端口,起始为偶数,至少四个端口,例如 \"16384-16483\"".into(),
        }
    }
}

fn quoted(words: &[&str], separator: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    words.join(separator)
}

/// The TOML reader's details may span lines; a problem is one line.
fn one_line(detail: &str) -> String {
    detail.split_whitespace().collect::<Vec<_>>().join(" ")
}
