//! The words for ends of calls and failures of registrations, in English and Chinese. The number of a
//! SIP status stays beside its sentence, for whoever looks for it.

use std::borrow::Cow;

use crate::call_end::{EndExplanation, EndReason};
use crate::language::Language;
use crate::snapshot::{Leg, LegState, RegistrationFailure};
use crate::text::Localized;

/// English and Chinese.
type Words = (&'static str, &'static str);

impl Localized for EndReason {
    fn text(&self, language: Language) -> Cow<'static, str> {
        let (english, chinese) = match self {
            Self::LocalHangUp => ("hung up here", "本方挂断"),
            Self::RemoteHangUp => ("the far end hung up", "对方挂断"),
            Self::Declined => ("declined here", "本方拒接"),
            Self::RefusedBusy => ("refused, the room was in a call", "会议室正忙,已拒绝"),
            Self::Missed => ("missed", "未接来电"),
            Self::Cancelled => ("the caller gave up", "对方取消呼叫"),
            Self::AnsweredElsewhere => ("answered elsewhere", "已在别处接听"),
            Self::DeclinedByPeer => ("the far end declined", "对方拒接"),
            Self::PeerBusy => ("the far end is busy", "对方忙"),
            Self::NotAnswered => ("nobody answered", "无人接听"),
            Self::GaveWay => (
                "both called at once, the far end's call was taken",
                "双方同时呼叫,已接听对方来电",
            ),
            Self::DialTimedOut => ("the far end did not react", "对方没有响应"),
            Self::NotFound => ("there is no such address", "地址不存在"),
            Self::InvalidTarget => ("the address cannot be called", "无法呼叫该地址"),
            Self::NoUsableAccount => ("no account can place this call", "没有可用于此呼叫的账户"),
            Self::Unreachable => ("the far end cannot be reached", "无法连接对方"),
            Self::CertificateRefused => (
                "the far end's certificate is not trusted",
                "对方的证书不受信任",
            ),
            Self::Forbidden => ("the far end does not allow the call", "对方不允许此呼叫"),
            Self::AuthenticationFailed => (
                "the server refused the room's password",
                "服务器拒绝了会议室的密码",
            ),
            Self::PasswordMissing => (
                "the server asks for a password, the account has none",
                "服务器要求密码,而该账户没有密码",
            ),
            // A far end that says 488 does not say which of the two it lacks.
            Self::IncompatibleMedia => (
                "no codec or no encryption in common",
                "没有共同的编解码器或加密方式",
            ),
            Self::EncryptionRequired => (
                "one side insists on encryption, the other has none",
                "一方要求加密而另一方不支持",
            ),
            Self::KeyExchangeFailed => (
                "no keys for media could be exchanged with the far end",
                "无法与对方交换媒体密钥",
            ),
            Self::Refused { status } => {
                return Cow::Owned(with_status(call_refused(*status), *status, language));
            }
            Self::Unsupported { status } => {
                return Cow::Owned(with_status(refused_here(*status), *status, language));
            }
            Self::PeerLost => ("the far end is gone", "与对方失去联系"),
            Self::ConnectionLost => (
                "the connection broke and did not come back",
                "连接中断且未能恢复",
            ),
            Self::PeerFault => ("the far end broke the rules of SIP", "对方违反了 SIP 协议"),
            Self::AnswerTimedOut => ("the far end never confirmed the answer", "对方未确认接听"),
            Self::LocalFault => ("the room could not handle the call", "会议室无法处理此呼叫"),
            Self::NotResumed => (
                "the room restarted, and the far end no longer has the call",
                "会议室重启后,对方已不在此通话中",
            ),
            Self::TooManyRestarts => (
                "not called again, the room restarted too often in this call",
                "会议室在此呼叫中多次重启,不再重新呼叫",
            ),
            Self::Transferred => ("the far end transferred the room", "已被对方转接"),
            Self::ShutDown => ("the room was shut down", "会议室已关闭"),
            Self::HangUpTimedOut => (
                "hung up here, not confirmed by the far end",
                "本方挂断,对方未确认",
            ),
        };
        Cow::Borrowed(match language {
            Language::English => english,
            Language::Chinese => chinese,
        })
    }
}

impl Localized for RegistrationFailure {
    fn text(&self, language: Language) -> Cow<'static, str> {
        let (english, chinese) = match self {
            Self::Unreachable => ("the registrar cannot be reached", "无法连接注册服务器"),
            Self::CertificateRefused => (
                "the registrar's certificate is not trusted",
                "注册服务器的证书不受信任",
            ),
            Self::ServerUnproven => (
                "who answered does not know the password: perhaps not the registrar",
                "应答方不知道密码,可能不是注册服务器",
            ),
            Self::TimedOut => ("the registrar did not answer", "注册服务器没有响应"),
            Self::AuthenticationFailed => ("the password was refused", "密码被拒绝"),
            Self::PasswordMissing => (
                "the registrar asks for a password, the account has none",
                "注册服务器要求密码,而该账户没有密码",
            ),
            Self::Refused { status } => {
                return Cow::Owned(with_status(
                    registration_refused(*status),
                    *status,
                    language,
                ));
            }
        };
        Cow::Borrowed(match language {
            Language::English => english,
            Language::Chinese => chinese,
        })
    }
}

impl Leg {
    /// Where the leg stands; of one that was refused also by which SIP status, and when the far end may
    /// be called again.
    #[must_use]
    pub fn state_text(&self, language: Language) -> String {
        let mut text = self.state.text(language).into_owned();
        let Some(explanation) = &self.explanation else {
            return text;
        };
        if let Some(status) = explanation.sip_status.filter(|_| !self.tells_status()) {
            text.push_str(&status_number(status, language));
        }
        if let Some(seconds) = explanation.retry_after_s {
            text.push_str(&match language {
                Language::English => format!(", to be called again after {seconds} s"),
                Language::Chinese => format!(",请在 {seconds} 秒后再呼叫"),
            });
        }
        text
    }

    /// Whether the words for the reason already have the status.
    fn tells_status(&self) -> bool {
        match self.state {
            LegState::Ending { reason } | LegState::Ended { reason } => matches!(
                reason,
                EndReason::Refused { .. } | EndReason::Unsupported { .. }
            ),
            LegState::Incoming
            | LegState::Answering
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Early
            | LegState::Established
            | LegState::Held { .. } => false,
        }
    }
}

impl EndExplanation {
    /// The far end's own words, marked as such; `None` where it has said nothing.
    #[must_use]
    pub fn words_text(&self, language: Language) -> Option<String> {
        if self.far_end_words.is_empty() {
            return None;
        }
        let words = self.far_end_words.join("; ");
        Some(match language {
            Language::English => format!("in the far end's words: {words}"),
            Language::Chinese => format!("对方原话:{words}"),
        })
    }
}

fn with_status((english, chinese): Words, status: u16, language: Language) -> String {
    let words = match language {
        Language::English => english,
        Language::Chinese => chinese,
    };
    format!("{words}{}", status_number(status, language))
}

fn status_number(status: u16, language: Language) -> String {
    match language {
        Language::English => format!(" (SIP {status})"),
        Language::Chinese => format!("(SIP {status})"),
    }
}

/// A far end that refused a call of this room, for a reason that has no name of its own.
fn call_refused(status: u16) -> Words {
    match status {
        300..=399 => (
            "the far end has moved, its new address was not called",
            "对方已转移,未呼叫其新地址",
        ),
        400 | 493 => ("the far end could not read the call", "对方无法读取此呼叫"),
        402 => ("the call has to be paid for", "此呼叫需要付费"),
        405 | 406 | 415 | 416 | 420 | 421 | 501 => (
            "the far end does not understand this room's call",
            "对方无法处理本会议室的呼叫",
        ),
        413 | 414 | 513 => (
            "the call is too large for the far end",
            "呼叫消息对对方来说过大",
        ),
        482 | 483 => ("the call goes round in circles", "呼叫在服务器之间循环"),
        485 => (
            "the address means more than one far end",
            "该地址对应多个对方",
        ),
        487 => ("the call was given up on its way", "呼叫在途中被终止"),
        504 => (
            "the server there got no answer in time",
            "对方的服务器未及时得到答复",
        ),
        500..=599 => ("the server there is out of service", "对方的服务器暂停服务"),
        607 | 608 => (
            "the call was taken for an unwanted one",
            "此呼叫被视为骚扰电话",
        ),
        _ => ("the far end refused", "对方拒绝"),
    }
}

/// A call that this room refused before it rang.
fn refused_here(status: u16) -> Words {
    match status {
        406 | 415 | 420 | 421 => (
            "refused before it rang, the call asks for what this room does not have",
            "未响铃即拒绝,来电要求本会议室不具备的功能",
        ),
        _ => (
            "refused before it rang, the call could not be read",
            "未响铃即拒绝,无法读取此来电",
        ),
    }
}

/// A registrar that refused for a reason that has no name of its own.
fn registration_refused(status: u16) -> Words {
    match status {
        300..=399 => ("the registrar has moved", "注册服务器已转移"),
        404 | 410 | 484 | 604 => (
            "the registrar does not know the account's address",
            "注册服务器不认识该账户的地址",
        ),
        405 | 406 | 415 | 416 | 420 | 421 | 501 => (
            "the registrar does not understand this room's registration",
            "注册服务器无法处理本会议室的注册",
        ),
        408 | 504 => (
            "the server there got no answer from the registrar in time",
            "未及时得到注册服务器的答复",
        ),
        423 => (
            "the registrar and the room agree on no time for the registration",
            "未能与注册服务器商定注册时长",
        ),
        482 | 483 => (
            "the registration goes round in circles",
            "注册请求在服务器之间循环",
        ),
        500..=599 => ("the registrar is out of service", "注册服务器暂停服务"),
        _ => ("the registrar refused", "注册服务器拒绝"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(words: &impl Localized) -> [String; 2] {
        [Language::English, Language::Chinese].map(|language| words.text(language).into_owned())
    }

    #[test]
    fn a_refusal_is_a_sentence_with_its_number() {
        for (status, english, chinese) in [
            (
                302,
                "the far end has moved, its new address was not called (SIP 302)",
                "对方已转移,未呼叫其新地址(SIP 302)",
            ),
            (
                305,
                "the far end has moved, its new address was not called (SIP 305)",
                "对方已转移,未呼叫其新地址(SIP 305)",
            ),
            (
                400,
                "the far end could not read the call (SIP 400)",
                "对方无法读取此呼叫(SIP 400)",
            ),
            (
                406,
                "the far end does not understand this room's call (SIP 406)",
                "对方无法处理本会议室的呼叫(SIP 406)",
            ),
            (
                415,
                "the far end does not understand this room's call (SIP 415)",
                "对方无法处理本会议室的呼叫(SIP 415)",
            ),
            (
                420,
                "the far end does not understand this room's call (SIP 420)",
                "对方无法处理本会议室的呼叫(SIP 420)",
            ),
            (
                482,
                "the call goes round in circles (SIP 482)",
                "呼叫在服务器之间循环(SIP 482)",
            ),
            (
                483,
                "the call goes round in circles (SIP 483)",
                "呼叫在服务器之间循环(SIP 483)",
            ),
            (
                485,
                "the address means more than one far end (SIP 485)",
                "该地址对应多个对方(SIP 485)",
            ),
            (
                500,
                "the server there is out of service (SIP 500)",
                "对方的服务器暂停服务(SIP 500)",
            ),
            (
                503,
                "the server there is out of service (SIP 503)",
                "对方的服务器暂停服务(SIP 503)",
            ),
            (
                504,
                "the server there got no answer in time (SIP 504)",
                "对方的服务器未及时得到答复(SIP 504)",
            ),
            (
                513,
                "the call is too large for the far end (SIP 513)",
                "呼叫消息对对方来说过大(SIP 513)",
            ),
            (499, "the far end refused (SIP 499)", "对方拒绝(SIP 499)"),
            (699, "the far end refused (SIP 699)", "对方拒绝(SIP 699)"),
        ] {
            assert_eq!(both(&EndReason::Refused { status }), [english, chinese]);
        }
    }

    #[test]
    fn a_call_that_this_room_refused_before_it_rang_says_so() {
        for (status, english, chinese) in [
            (
                420,
                "refused before it rang, the call asks for what this room does not have (SIP 420)",
                "未响铃即拒绝,来电要求本会议室不具备的功能(SIP 420)",
            ),
            (
                400,
                "refused before it rang, the call could not be read (SIP 400)",
                "未响铃即拒绝,无法读取此来电(SIP 400)",
            ),
        ] {
            assert_eq!(both(&EndReason::Unsupported { status }), [english, chinese]);
        }
    }

    #[test]
    fn what_went_wrong_with_whom_is_told_apart() {
        for (reason, english, chinese) in [
            (
                EndReason::EncryptionRequired,
                "one side insists on encryption, the other has none",
                "一方要求加密而另一方不支持",
            ),
            (
                EndReason::KeyExchangeFailed,
                "no keys for media could be exchanged with the far end",
                "无法与对方交换媒体密钥",
            ),
            (
                EndReason::PasswordMissing,
                "the server asks for a password, the account has none",
                "服务器要求密码,而该账户没有密码",
            ),
            (
                EndReason::ConnectionLost,
                "the connection broke and did not come back",
                "连接中断且未能恢复",
            ),
            (
                EndReason::PeerFault,
                "the far end broke the rules of SIP",
                "对方违反了 SIP 协议",
            ),
            (
                EndReason::LocalFault,
                "the room could not handle the call",
                "会议室无法处理此呼叫",
            ),
        ] {
            assert_eq!(both(&reason), [english, chinese]);
        }
    }

    #[test]
    fn a_registrar_that_refuses_is_a_sentence_with_its_number() {
        for (status, english, chinese) in [
            (
                404,
                "the registrar does not know the account's address (SIP 404)",
                "注册服务器不认识该账户的地址(SIP 404)",
            ),
            (
                423,
                "the registrar and the room agree on no time for the registration (SIP 423)",
                "未能与注册服务器商定注册时长(SIP 423)",
            ),
            (
                483,
                "the registration goes round in circles (SIP 483)",
                "注册请求在服务器之间循环(SIP 483)",
            ),
            (
                503,
                "the registrar is out of service (SIP 503)",
                "注册服务器暂停服务(SIP 503)",
            ),
            (
                480,
                "the registrar refused (SIP 480)",
                "注册服务器拒绝(SIP 480)",
            ),
        ] {
            let refused = RegistrationFailure::Refused { status };
            assert_eq!(both(&refused), [english, chinese]);
        }
        assert_eq!(
            both(&RegistrationFailure::PasswordMissing),
            [
                "the registrar asks for a password, the account has none",
                "注册服务器要求密码,而该账户没有密码"
            ],
        );
    }

    #[test]
    fn an_end_carries_its_reason_into_the_words() {
        let reason = EndReason::Refused { status: 699 };
        assert_eq!(
            both(&LegState::Ended { reason }),
            [
                "ended: the far end refused (SIP 699)",
                "已结束:对方拒绝(SIP 699)"
            ],
        );
    }

    #[test]
    fn words_of_the_far_end_are_marked_as_its_own() {
        let mut explanation = EndExplanation::default();
        assert_eq!(explanation.words_text(Language::English), None);
        explanation.far_end_words = vec!["On vacation (Warning 399)".into(), "Q.850 16".into()];
        assert_eq!(
            explanation.words_text(Language::English).as_deref(),
            Some("in the far end's words: On vacation (Warning 399); Q.850 16"),
        );
        assert_eq!(
            explanation.words_text(Language::Chinese).as_deref(),
            Some("对方原话:On vacation (Warning 399); Q.850 16"),
        );
    }
}
