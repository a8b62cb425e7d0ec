//! The words for states and reasons, in English and Chinese.

use std::borrow::Cow;

use crate::answer::{DeniedCode, ProblemCode};
use crate::guest_certificate::GuestCertificateReason;
use crate::language::Language;
use crate::snapshot::{
    CallDirection, CameraState, CertificateValidity, DeviceState, HeldBy, Layout, LegRefusal,
    LegState, MicrophoneState, Protection, RegistrationState, RoomState, SlidesSending, VideoFlow,
};

/// What has words in every language of the room.
pub trait Localized {
    /// The words: a phrase without a full stop.
    fn text(&self, language: Language) -> Cow<'static, str>;
}

/// `English` and `Chinese` words for each variant that carries no data of its own.
macro_rules! words {
    ($type:ty { $($variant:ident => $english:literal, $chinese:literal;)* }) => {
        impl Localized for $type {
            fn text(&self, language: Language) -> Cow<'static, str> {
                let (english, chinese) = match self {
                    $(Self::$variant => ($english, $chinese),)*
                };
                Cow::Borrowed(match language {
                    Language::English => english,
                    Language::Chinese => chinese,
                })
            }
        }
    };
}
pub(crate) use words;

words!(RoomState {
    Idle => "idle", "空闲";
    InMeeting => "in a meeting", "会议中";
    Leaving => "leaving", "正在离开";
});

words!(CallDirection {
    Incoming => "incoming", "呼入";
    Outgoing => "outgoing", "呼出";
});

words!(MicrophoneState {
    Open => "open", "开启";
    Muted => "muted", "静音";
});

words!(CameraState {
    On => "on", "开启";
    Off => "off", "关闭";
});

words!(SlidesSending {
    Off => "off", "关闭";
    Waiting => "waiting for the far end", "等待对方允许";
    Sending => "shown", "正在展示";
});

words!(CertificateValidity {
    Good => "good", "有效";
    ExpiresSoon => "expires soon", "即将过期";
    Expired => "has expired", "已过期";
    NotYetValid => "not valid yet, is the clock right?", "尚未生效,时钟是否正确?";
});

words!(GuestCertificateReason {
    Unreachable => "the ACME server cannot be reached", "无法连接 ACME 服务器";
    ServerUntrusted => "the certificate of the ACME server is not trusted", "ACME 服务器的证书不受信任";
    AccountRefused => "the ACME server does not take the account", "ACME 服务器不接受该账户";
    NameRefused => "the ACME server does not certify this name", "ACME 服务器不为该域名签发证书";
    NoChallenge => "the ACME server cannot prove the name in the configured way", "ACME 服务器不支持所配置的验证方式";
    NameNotProven => "the ACME server did not find this room under its name", "ACME 服务器未能在该域名下找到此会议室";
    RateLimited => "the ACME server wants fewer orders", "ACME 服务器限制了请求频率";
    ServerFault => "the ACME server failed", "ACME 服务器出错";
    ClockWrong => "the clock is wrong by the time of the certificate", "时钟与证书的有效期不符";
    NotStored => "the certificate cannot be stored", "无法保存证书";
});

impl GuestCertificateReason {
    /// What to do about it.
    #[must_use]
    pub fn hint(self, language: Language) -> &'static str {
        let (english, chinese) = match self {
            Self::Unreachable => (
                "look at the network, and at guests.acme.directory",
                "请检查网络和 guests.acme.directory",
            ),
            Self::ServerUntrusted => (
                "look at the clock, and name the authority of a server of your own in guests.acme.authority",
                "请检查时钟,并在 guests.acme.authority 中指定自有服务器的颁发机构",
            ),
            Self::AccountRefused => (
                "look at contact and external_account_id in [guests.acme]",
                "请检查 [guests.acme] 中的 contact 和 external_account_id",
            ),
            Self::NameRefused => (
                "look at guests.public_url, and at the CAA records of its name",
                "请检查 guests.public_url 及该域名的 CAA 记录",
            ),
            Self::NoChallenge => (
                "add or remove guests.acme.http_listen",
                "请添加或删除 guests.acme.http_listen",
            ),
            Self::NameNotProven => (
                "the name has to lead to this room: port 443 to guests.listen, or port 80 to guests.acme.http_listen",
                "该域名必须指向此会议室:443 端口到 guests.listen,或 80 端口到 guests.acme.http_listen",
            ),
            Self::RateLimited => ("wait", "请等待"),
            Self::ServerFault => (
                "wait, or ask who runs the server",
                "请等待,或联系服务器的管理者",
            ),
            Self::ClockWrong => ("set the clock", "请校准时钟"),
            Self::NotStored => (
                "look whether the disk is full, and into the log of roomd",
                "请检查磁盘是否已满,并查看 roomd 的日志",
            ),
        };
        match language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

words!(DeviceState {
    NotConfigured => "not configured", "未配置";
    Present => "present", "正常";
    Gone => "gone", "已断开";
});

words!(Layout {
    Single => "single", "单画面";
    Grid => "grid", "网格";
    PictureInPicture => "picture in picture", "画中画";
});

words!(HeldBy {
    Local => "held", "已保持";
    Remote => "held by the far end", "被对方保持";
    Both => "held by both sides", "双方均已保持";
});

words!(Protection {
    Encrypted => "encrypted", "已加密";
    Plain => "not encrypted", "未加密";
});

words!(VideoFlow {
    Off => "off", "关闭";
    Waiting => "waiting for the picture", "等待画面";
    Flowing => "flowing", "正常";
    Stalled => "stalled", "已停滞";
});

words!(LegRefusal {
    Hold => "the far end did not take the hold", "对方未接受保持";
    Resume => "the far end did not take the end of the hold", "对方未接受恢复";
    Dtmf => "the far end takes no key presses", "对方不接受按键";
    Slides => "the far end does not let the room show slides", "对方不允许展示幻灯片";
});

words!(DeniedCode {
    ShuttingDown => "the room is shutting down", "会议室正在关闭";
    NoFreeLeg => "the room is in as many calls as it may be", "会议室的通话数已达上限";
    UnknownLeg => "there is no such leg", "没有这一路通话";
    InvalidTarget => "the address cannot be called", "无法呼叫该地址";
    UnknownAccount => "there is no account of that name", "没有该名称的账户";
    NoRegistrar => "the account registers nowhere", "该账户不需要注册";
    NothingToJoin => "no meeting is configured for the join button", "未配置加入按钮的会议";
    NotRinging => "the leg is not ringing here", "该路通话没有在此处响铃";
    NotEstablished => "the leg is not in the meeting", "该路通话尚未接通或已结束";
    LegHeld => "the leg is held", "该路通话处于保持状态";
    HoldInProgress => "the far end has not answered the last hold or resume yet",
        "对方尚未答复上一次保持或恢复";
    NoSlides => "no source of slides is configured", "未配置幻灯片来源";
    SlidesNotTaken => "no far end takes slides", "没有可接收幻灯片的对方";
});

words!(ProblemCode {
    Unauthorized => "the bearer token is missing or wrong", "缺少令牌或令牌错误";
    ForeignHost => "the Host header does not name this machine", "Host 头不是本机";
    ForeignOrigin => "requests from other sites' pages are refused", "拒绝来自其他网站页面的请求";
    UnknownPath => "there is no such path", "没有这个路径";
    MethodNotAllowed => "the path does not take this method", "该路径不支持此方法";
    BodyTooLarge => "the body is too large", "请求体过大";
    NotJson => "the body is not application/json", "请求体不是 application/json";
    InvalidBody => "the body is not what this path takes", "请求体不符合该路径的要求";
    InvalidQuery => "the query is not what this path takes", "查询参数不符合该路径的要求";
    InvalidLeg => "the leg's id is not a number", "通话编号不是数字";
    InvalidDigits => "the digits are not ones that a telephone sends", "不是有效的按键";
    InvalidVolume => "the volume is above 100", "音量超过 100";
    NoPicture => "there is no such picture now", "目前没有该画面";
    NoSipLadder => "no SIP messages are remembered of that", "没有保存相应的 SIP 消息";
    NoGuests => "no guests are configured", "未配置访客";
    NoAcme => "no ACME server certifies the guests' server", "访客服务器的证书不由 ACME 签发";
    UnknownInvitation => "there is no such invitation", "没有这个邀请";
    InvalidInvitation => "the label or the lifetime of the link is out of bounds", "链接的名称或有效期超出范围";
    TooManyInvitations => "there are as many links as there may be", "链接数量已达上限";
    NotStored => "it could not be stored", "无法保存";
    WebSocketOnly => "this path speaks WebSocket only", "该路径仅支持 WebSocket";
    Overloaded => "too many requests are waiting", "等待的请求过多";
    RoomGone => "the room does not answer", "会议室没有响应";
    TimedOut => "it took too long", "超时";
    PictureFailed => "the picture could not be made", "无法生成画面";
});

impl ProblemCode {
    /// What to do about it.
    #[must_use]
    pub fn hint(self, language: Language) -> &'static str {
        let (english, chinese) = match self {
            Self::Unauthorized => (
                "send Authorization: Bearer and the content of the token file",
                "请发送 Authorization: Bearer 和令牌文件的内容",
            ),
            Self::ForeignHost => (
                "use 127.0.0.1, [::1] or localhost with the configured port",
                "请使用 127.0.0.1、[::1] 或 localhost 及所配置的端口",
            ),
            Self::ForeignOrigin => (
                "send no Origin, or this server's own",
                "请勿发送 Origin,或使用本服务器的地址",
            ),
            Self::UnknownPath | Self::MethodNotAllowed => {
                ("see /v1/openapi.json", "请参阅 /v1/openapi.json")
            }
            Self::BodyTooLarge => ("send at most 16 KiB", "请求体最多 16 KiB"),
            Self::NotJson => (
                "send Content-Type: application/json",
                "请发送 Content-Type: application/json",
            ),
            Self::InvalidBody | Self::InvalidQuery => (
                "compare it with /v1/openapi.json",
                "请与 /v1/openapi.json 对照",
            ),
            Self::InvalidLeg => ("take it from /v1/snapshot", "请从 /v1/snapshot 获取"),
            Self::InvalidDigits => (
                "send 1 to 64 of 0-9, *, #, A-D",
                "请发送 1 到 64 个 0-9、*、#、A-D",
            ),
            Self::InvalidVolume => ("send 0 to 100", "请发送 0 到 100"),
            Self::NoPicture => ("try again during a call", "请在通话期间重试"),
            Self::NoSipLadder => (
                "those of the last 16 calls since the start of roomd are, and of one call that was refused at once",
                "仅保存 roomd 启动以来最近 16 次通话,以及一次立即被拒绝的来电",
            ),
            Self::NoGuests => (
                "add the table [guests] to the configuration and restart roomd",
                "请在配置中添加 [guests] 并重启 roomd",
            ),
            Self::NoAcme => (
                "add the table [guests.acme] to the configuration and restart roomd",
                "请在配置中添加 [guests.acme] 并重启 roomd",
            ),
            Self::UnknownInvitation => (
                "take its number from /v1/guests/invitations",
                "请从 /v1/guests/invitations 获取编号",
            ),
            Self::InvalidInvitation => (
                "a label has at most 64 characters, and a link lasts 5 to 43200 minutes",
                "名称最多 64 个字符,有效期为 5 到 43200 分钟",
            ),
            Self::TooManyInvitations => ("revoke one", "请撤销一个链接"),
            Self::NotStored => (
                "look whether the disk is full, and into the log of roomd",
                "请检查磁盘是否已满,并查看 roomd 的日志",
            ),
            Self::WebSocketOnly => ("send a WebSocket upgrade", "请发送 WebSocket 升级请求"),
            Self::Overloaded | Self::TimedOut | Self::PictureFailed => ("try again", "请重试"),
            Self::RoomGone => ("look into the log of roomd", "请查看 roomd 的日志"),
        };
        match language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

impl Localized for LegState {
    fn text(&self, language: Language) -> Cow<'static, str> {
        let (english, chinese) = match self {
            Self::Incoming => ("calling", "来电"),
            Self::Answering => ("answering", "正在接听"),
            Self::Dialing => ("dialing", "正在呼叫"),
            Self::Ringing => ("ringing", "对方响铃"),
            Self::Early => ("connecting", "正在接通"),
            Self::Established => ("in the call", "通话中"),
            Self::Held { by } => return by.text(language),
            Self::Ending { reason } => {
                let reason = reason.text(language);
                return Cow::Owned(match language {
                    Language::English => format!("ending: {reason}"),
                    Language::Chinese => format!("正在结束:{reason}"),
                });
            }
            Self::Ended { reason } => {
                let reason = reason.text(language);
                return Cow::Owned(match language {
                    Language::English => format!("ended: {reason}"),
                    Language::Chinese => format!("已结束:{reason}"),
                });
            }
        };
        Cow::Borrowed(match language {
            Language::English => english,
            Language::Chinese => chinese,
        })
    }
}

impl Localized for RegistrationState {
    fn text(&self, language: Language) -> Cow<'static, str> {
        let (english, chinese) = match self {
            Self::Unregistered => ("not registered", "未注册"),
            Self::Registering => ("registering", "正在注册"),
            Self::Registered => ("registered", "已注册"),
            Self::Failed { reason } => {
                let reason = reason.text(language);
                return Cow::Owned(match language {
                    Language::English => format!("failed: {reason}; trying again"),
                    Language::Chinese => format!("失败:{reason};正在重试"),
                });
            }
            Self::Locked => (
                "the registrar refuses the account, its password, or that it has none; change the configuration",
                "注册服务器拒绝该账户或其密码,或要求该账户没有的密码,请修改配置",
            ),
        };
        Cow::Borrowed(match language {
            Language::English => english,
            Language::Chinese => chinese,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_words_in_both_languages() {
        for language in [Language::English, Language::Chinese] {
            let denied = DeniedCode::ALL.map(|code| code.text(language));
            let problems = ProblemCode::ALL.map(|code| code.text(language));
            let mut words: Vec<_> = denied.iter().chain(&problems).collect();
            words.sort();
            words.dedup();
            assert_eq!(words.len(), DeniedCode::ALL.len() + ProblemCode::ALL.len());
        }
    }

    #[test]
    fn chinese_words_are_chinese() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for code in ProblemCode::ALL {
            assert!(is_chinese(&code.text(Language::Chinese)), "{code:?}");
            assert!(is_chinese(code.hint(Language::Chinese)), "{code:?}");
            assert!(!is_chinese(&code.text(Language::English)), "{code:?}");
        }
    }
}
