//! The words of errors in the language of the person who started roomd.
//!
//! English is each error's own `Display`. What the kernel, GStreamer or a library says is passed on
//! as it is.

use config::Language;
use hal_core::{DeviceError, DeviceKind};
use media::MediaError;

use crate::error::Error;
use crate::http::ServeError;

impl Error {
    /// The error in words.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match (language, self) {
            (language, Self::Config(error)) => error.text(language),
            (Language::English, error) => error.to_string(),
            (Language::Chinese, error) => chinese(error),
        }
    }
}

fn chinese(error: &Error) -> String {
    match error {
        Error::Config(error) => error.text(Language::Chinese),
        Error::Listen {
            protocol,
            address,
            source,
        } => format!("无法在 {address} 上监听 SIP（{protocol}）：{source}"),
        Error::GuestsListen { address, source } => {
            format!("无法在 {address} 上监听访客连接：{source}")
        }
        Error::TurnPassword { source } => {
            format!("guests.turn：{}", source.text(Language::Chinese))
        }
        Error::AcmeKey { source } => {
            format!("guests.acme：{}", source.text(Language::Chinese))
        }
        Error::AcmeKeyEncoding => "guests.acme：外部账户的密钥不是 base64url 编码".to_owned(),
        Error::Tls { source } => format!("TLS 设置有误：{source}"),
        Error::ClientCertificates { source } => {
            format!("sip.client_certificates：{source}（请在 sip.ca_files 中写明证书颁发机构）")
        }
        Error::TlsFile { path, source } => {
            format!("{}：无法读取 PEM 内容：{source}", path.display())
        }
        Error::TlsFileEmpty { path } => format!(
            "{}：文件中没有证书（应有一行 \"-----BEGIN CERTIFICATE-----\"）",
            path.display()
        ),
        Error::TlsKeyWorldReadable { path } => {
            let path = path.display();
            format!("{path} 对所有人可读：请运行 chmod 600 {path}")
        }
        Error::MediaPortRange { first, last } => {
            format!("媒体端口 {first} 至 {last}：一路通话需要四个端口，且从偶数端口开始")
        }
        Error::MediaPorts { address, source } => {
            format!("无法在 {address} 上绑定媒体端口：{source}")
        }
        Error::CertificateFile { path, source } => {
            format!("{}：无法读取或写入证书文件：{source}", path.display())
        }
        Error::Certificate(source) => format!("无法生成证书：{source}"),
        Error::Runtime { source } => format!("无法启动运行时：{source}"),
        Error::Media(error) => chinese_media(error),
        Error::Device(error) => chinese_device(error),
        Error::Api(error) => chinese_api(error),
        Error::StateDirectory { path, source } => {
            format!("{}：无法创建状态目录：{source}", path.display())
        }
        Error::AccountAddress {
            account,
            address,
            source,
        } => format!("账户 {account}：{address} 不是 SIP 地址：{source}"),
        Error::Secret { account, source } => {
            format!("账户 {account}：{}", source.text(Language::Chinese))
        }
        Error::NoRandomness => "操作系统无法提供随机数".to_owned(),
        Error::LoudspeakerRecording { path, source } => {
            format!("{}：无法创建扬声器录音文件：{source}", path.display())
        }
        Error::PartEnded { part } => format!("服务的“{part}”部分意外终止"),
        Error::EndTimeout { limit } => format!("设备与存储未能在 {limit:?} 内结束"),
        Error::Manual { path, source } => {
            format!("{}：无法写入手册页：{source}", path.display())
        }
    }
}

fn chinese_media(error: &MediaError) -> String {
    match error {
        MediaError::Initialization(source) => format!("GStreamer 未能启动：{source}"),
        MediaError::MissingElement { name } => format!("未安装 GStreamer 组件 {name}"),
        MediaError::NoEncoder { tried } => {
            format!("没有可用的 H.264 编码器；已尝试：{tried}")
        }
        MediaError::Link { what } => format!("无法连接 {what}"),
        MediaError::StateChange { pipeline } => format!("{pipeline} 管线未能启动"),
        MediaError::Thread { name, source } => format!("无法启动线程 {name}：{source}"),
        MediaError::UnknownLeg(leg) => format!("没有通话 {leg}"),
        MediaError::NoPicture => "尚未收到画面".to_owned(),
        MediaError::Picture(source) => format!("无法将画面写成 JPEG：{source}"),
        MediaError::Ended => "媒体线程已结束".to_owned(),
        MediaError::ShutDownTimedOut => "媒体管线未能按时清空".to_owned(),
    }
}

fn chinese_device(error: &DeviceError) -> String {
    match error {
        DeviceError::Gone(kind) => format!("{}已断开", device(*kind)),
        DeviceError::Stalled(kind) => format!("{}没有数据", device(*kind)),
        DeviceError::UnsupportedSize(kind, size, why) => {
            format!("{}不支持 {size}：{why}", device(*kind))
        }
        DeviceError::Overrun(kind) => format!("{}有过多事件未读取", device(*kind)),
    }
}

fn chinese_api(error: &ServeError) -> String {
    match error {
        ServeError::Socket { path, source } => {
            format!("无法在 {} 上提供 API：{source}", path.display())
        }
        ServeError::SocketInUse { path } => format!(
            "无法在 {} 上提供 API：另一个 roomd 正在使用它",
            path.display()
        ),
        ServeError::UnknownGroup { group } => {
            format!("http.socket_group：本机没有名为 {group:?} 的用户组")
        }
        ServeError::Loopback { address, source } => {
            format!("无法在 {address} 上提供 API：{source}")
        }
        ServeError::Token(error) => format!("API 令牌：{}", error.text(Language::Chinese)),
        ServeError::WeakToken => "API 令牌过短：请使用至少 16 个字符的随机令牌".to_owned(),
    }
}

fn device(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Camera => "摄像头",
        DeviceKind::Slides => "幻灯片来源",
        DeviceKind::Microphone => "麦克风",
        DeviceKind::Loudspeaker => "扬声器",
        DeviceKind::Buttons => "按键",
        DeviceKind::Leds => "指示灯",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    /// What a person meets who sets the room up, with the fact that either text must name.
    fn errors_at_start() -> Vec<(Error, &'static str)> {
        let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
        let path = || PathBuf::from("/srv/room");
        vec![
            (
                Error::Listen {
                    protocol: "UDP",
                    address: ([127, 0, 0, 1], 5060).into(),
                    source: in_use(),
                },
                "127.0.0.1:5060",
            ),
            (
                Error::ClientCertificates {
                    source: rustls::server::VerifierBuilderError::NoRootAnchors,
                },
                "sip.ca_files",
            ),
            (
                Error::GuestsListen {
                    address: ([127, 0, 0, 1], 8443).into(),
                    source: in_use(),
                },
                "127.0.0.1:8443",
            ),
            (
                Error::AcmeKey {
                    source: config::SecretError::NoCredentials {
                        name: "acme".to_owned(),
                    },
                },
                "guests.acme",
            ),
            (Error::AcmeKeyEncoding, "base64url"),
            (
                Error::TurnPassword {
                    source: config::SecretError::NoCredentials {
                        name: "turn".to_owned(),
                    },
                },
                "guests.turn",
            ),
            (Error::TlsFileEmpty { path: path() }, "/srv/room"),
            (Error::TlsKeyWorldReadable { path: path() }, "chmod 600"),
            (
                Error::StateDirectory {
                    path: path(),
                    source: in_use(),
                },
                "/srv/room",
            ),
            (
                Error::Secret {
                    account: "board".to_owned(),
                    source: config::SecretError::NoCredentials {
                        name: "password".to_owned(),
                    },
                },
                "board",
            ),
            (
                Error::Media(MediaError::NoEncoder {
                    tried: "x264enc".to_owned(),
                }),
                "x264enc",
            ),
            (
                Error::Api(ServeError::SocketInUse { path: path() }),
                "/srv/room",
            ),
            (
                Error::Api(ServeError::UnknownGroup {
                    group: "meeting".to_owned(),
                }),
                "meeting",
            ),
        ]
    }

    fn is_chinese(character: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&character)
    }

    #[test]
    fn an_error_at_start_names_the_same_fact_in_either_language() {
        for (error, fact) in errors_at_start() {
            let english = error.text(Language::English);
            let chinese = error.text(Language::Chinese);
            assert!(english.contains(fact), "{english}");
            assert!(!english.contains(is_chinese), "{english}");
            assert!(chinese.contains(fact), "{chinese}");
            assert!(chinese.contains(is_chinese), "{chinese}");
        }
    }

    #[test]
    fn the_shortest_token_is_the_same_in_either_language() {
        let error = Error::Api(ServeError::WeakToken);
        for language in [Language::English, Language::Chinese] {
            assert!(
                error.text(language).contains("16"),
                "{}",
                error.text(language)
            );
        }
    }
}
