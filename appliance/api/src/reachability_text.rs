//! The words for what a test of the ways to the room finds, and what to do, in English and Chinese.

use std::borrow::Cow;

use crate::language::Language;
use crate::reachability::{FindingCode, Verdict};
use crate::text::{Localized, words};

words!(Verdict {
    Works => "works", "正常";
    Problem => "problem", "有问题";
    Note => "note", "注意";
});

words!(FindingCode {
    PublicUrlNotSet => "links name an address of this machine", "链接使用本机的地址";
    PublicUrlResolves => "the name of public_url is known", "public_url 的名称可以解析";
    PublicUrlUnknown => "nobody knows the name of public_url", "public_url 的名称无法解析";
    PublicUrlPrivate => "public_url leads to an address of a private network", "public_url 指向私有网络的地址";
    PageServed => "the page is served here, with the room's certificate", "此处提供页面,证书是本会议室的";
    PageOfAnother => "somebody else answers here: the certificate is not the room's", "此处由其他设备应答:证书不是本会议室的";
    PageNameNotCertified => "the room's certificate is not for the name of public_url", "会议室的证书不适用于 public_url 的名称";
    PageNotServed => "nobody answers here, at an address of this machine", "本机的这一地址无人应答";
    PageNotReachedFromHere => "not reached from inside, which may be different from outside", "从内部无法到达;从外部可能不同";
    OutsideUnknown => "whether a firewall lets others in cannot be told from inside", "防火墙是否允许外人进入,从内部无法判断";
    NoTurnServer => "no TURN server is configured", "未配置 TURN 服务器";
    TurnRelays => "the TURN server gives an address, and what is sent there comes", "TURN 服务器分配了地址,并能收到发往该地址的数据";
    TurnServerUnknown => "nobody knows the name of the TURN server", "TURN 服务器的名称无法解析";
    TurnServerNotReached => "the TURN server does not answer", "TURN 服务器没有应答";
    TurnServerNotTrusted => "the certificate of the TURN server is not accepted", "TURN 服务器的证书不被接受";
    TurnCredentialsWrong => "the TURN server does not take the name and password", "TURN 服务器不接受用户名和密码";
    TurnServerRefuses => "the TURN server gives no address", "TURN 服务器不分配地址";
    TurnRelaysNothing => "the TURN server gives an address, but what is sent there does not come", "TURN 服务器分配了地址,但收不到发往该地址的数据";
    TurnRelayUntried => "the TURN server gives an address; whether it relays cannot be told from here", "TURN 服务器分配了地址;是否能转发,从此处无法判断";
    TurnWayUntried => "pages use this way, and the room cannot try it", "页面会使用此方式,但会议室无法测试";
    PublicAddressRight => "this machine is seen outside at the configured public address", "外部看到的地址与配置的公网地址一致";
    PublicAddressWrong => "this machine is seen outside at another address than the configured one", "外部看到的地址与配置的公网地址不一致";
    PublicAddressNotSet => "this machine is seen outside at an address that is not its own", "外部看到的地址不是本机的地址";
    NoAddressTranslation => "this machine is seen at its own address", "外部看到的就是本机的地址";
});

impl FindingCode {
    /// What to do, where there is something to do.
    #[must_use]
    pub fn advice(self, language: Language) -> Option<Cow<'static, str>> {
        let (english, chinese) = match self {
            Self::PublicUrlResolves
            | Self::PageServed
            | Self::TurnRelays
            | Self::PublicAddressRight
            | Self::NoAddressTranslation => return None,
            Self::PublicUrlNotSet => (
                "set guests.public_url to a name that guests find",
                "请将 guests.public_url 设为访客能找到的名称",
            ),
            Self::PublicUrlUnknown => (
                "add the name to the DNS, or correct guests.public_url",
                "请在 DNS 中添加该名称,或更正 guests.public_url",
            ),
            Self::PublicUrlPrivate => (
                "only guests of that network find the room; for others the name needs a public address in the DNS",
                "只有该网络内的访客能找到会议室;其他访客需要在 DNS 中有公网地址",
            ),
            Self::PageOfAnother => (
                "correct the address in the DNS, or have the router forward the port to this machine",
                "请更正 DNS 中的地址,或让路由器将该端口转发到本机",
            ),
            Self::PageNameNotCertified => (
                "set guests.certificate to one for that name, or correct guests.public_url",
                "请在 guests.certificate 中使用适用于该名称的证书,或更正 guests.public_url",
            ),
            Self::PageNotServed => (
                "compare the port of guests.public_url with that of guests.listen, and look at this machine's firewall",
                "请核对 guests.public_url 与 guests.listen 的端口,并检查本机的防火墙",
            ),
            Self::PageNotReachedFromHere => (
                "many routers do not lead their own network back to itself (hairpin NAT): open a link by a mobile \
                 network; if that fails, have the router forward the port to this machine",
                "许多路由器不支持从内部访问自己的公网地址(NAT 回环):请用手机网络打开链接;如果失败,请让路由器将该端口转发到本机",
            ),
            Self::OutsideUnknown => (
                "open a link by a mobile network, once",
                "请用手机网络打开一次链接",
            ),
            Self::NoTurnServer => (
                "guests whose network lets little out may not get media; add a table [[guests.turn]]",
                "网络限制较多的访客可能没有音视频;请添加 [[guests.turn]]",
            ),
            Self::TurnServerUnknown => (
                "correct guests.turn.urls, or add the name to the DNS",
                "请更正 guests.turn.urls,或在 DNS 中添加该名称",
            ),
            Self::TurnServerNotReached => (
                "look whether the server runs, and whether firewalls let this port through",
                "请检查服务器是否在运行,以及防火墙是否放行该端口",
            ),
            Self::TurnServerNotTrusted => (
                "give the server a certificate for its name, or add its authority to sip.ca_files",
                "请为服务器配置适用于其名称的证书,或将其颁发机构加入 sip.ca_files",
            ),
            Self::TurnCredentialsWrong => (
                "compare the name and the password, or the shared secret, with those of the server; with a shared \
                 secret also the clocks",
                "请与服务器核对用户名和密码或共享密钥;使用共享密钥时还须核对时钟",
            ),
            Self::TurnServerRefuses => (
                "look into the server's log: its quota or its addresses may be used up",
                "请查看服务器的日志:其配额或地址可能已用完",
            ),
            Self::TurnRelaysNothing => (
                "have the firewall before the server let its relay ports through (UDP), and let it name its public \
                 address (coturn: external-ip)",
                "请让服务器前的防火墙放行其中继端口(UDP),并为其设置公网地址(coturn:external-ip)",
            ),
            Self::TurnRelayUntried => (
                "try a guest's call by that way",
                "请用一次访客通话来测试此方式",
            ),
            Self::TurnWayUntried => ("have another way as well", "请同时配置其他方式"),
            Self::PublicAddressWrong => (
                "correct guests.public_addresses; a router whose address changes needs a TURN server instead",
                "请更正 guests.public_addresses;如果路由器的地址会变化,请改用 TURN 服务器",
            ),
            Self::PublicAddressNotSet => (
                "if the router forwards the ports for media to this machine, set guests.public_addresses to that; \
                 else guests come by TURN servers",
                "如果路由器将音视频端口转发到本机,请将 guests.public_addresses 设为该地址;否则访客须使用 TURN 服务器",
            ),
        };
        Some(Cow::Borrowed(match language {
            Language::English => english,
            Language::Chinese => chinese,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_good_comes_with_what_to_do() {
        for code in FindingCode::ALL {
            for language in [Language::English, Language::Chinese] {
                let advice = code.advice(language);
                assert_eq!(
                    advice.is_none(),
                    code.verdict() == Verdict::Works,
                    "{code:?}"
                );
                assert!(!code.text(language).ends_with(['.', '。']));
            }
        }
    }
}
