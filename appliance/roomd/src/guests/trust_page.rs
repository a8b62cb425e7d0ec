//! The page that explains how to trust the room's own authority.
//!
//! Who reads it has passed a warning of the browser, so it says how to make sure that the certificate is
//! the room's: by its fingerprint, which `roomctl guests invite` prints on the room.

use api::Language;

/// The page's style.
pub(super) const TRUST_STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
code { overflow-wrap: anywhere; }
.certificate { display: inline-block; padding: .6rem 1.2rem; border: 2px solid; border-radius: .5rem;
  font-weight: 600; }
nav { text-align: end; }
";

/// What the page tells.
#[derive(Clone, Debug)]
pub(super) struct TrustPage {
    certificate: Vec<u8>,
    fingerprint: String,
}

impl TrustPage {
    /// The page of an authority's certificate (DER).
    pub(super) fn new(certificate: Vec<u8>, fingerprint: String) -> Self {
        Self {
            certificate,
            fingerprint,
        }
    }

    /// The certificate (DER).
    pub(super) fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// The page. Nothing in it comes from anybody else.
    pub(super) fn html(&self, language: Language) -> String {
        let fingerprint = &self.fingerprint;
        match language {
            Language::English => page(
                "en",
                "Trust this room",
                "<a href=\"?language=zh\" lang=\"zh\">中文</a>",
                &format!(
                    "<p>This room proves itself by a certificate authority of its own, which no \
                     browser knows. Trust it once on your device, and the warnings end. It vouches \
                     for this room alone: for no other site on the Internet.</p>
<p><a class=\"certificate\" href=\"/trust/authority.crt\" download>Download the certificate</a></p>
<h2>Make sure that it is the room's</h2>
<p>Compare the SHA-256 fingerprint that your device shows with the one that \
<code>roomctl guests invite</code> prints on the room, or ask whoever sent you the link:</p>
<p><code>{fingerprint}</code></p>
<h2>How to trust it</h2>
<ul>
<li><strong>Windows</strong>: open the file, Install Certificate, Current User, place it in \
“Trusted Root Certification Authorities”.</li>
<li><strong>macOS</strong>: open the file in Keychain Access, open the certificate, Trust, \
“Always Trust”.</li>
<li><strong>iPhone and iPad</strong>: open the file, then Settings, General, VPN and Device \
Management, install the profile; then General, About, Certificate Trust Settings, switch it on.</li>
<li><strong>Android</strong>: Settings, Security, Encryption and credentials, Install a certificate, \
CA certificate.</li>
<li><strong>Linux with Chromium or Chrome</strong>: Settings, Privacy and security, Security, Manage \
certificates, Authorities, Import, for websites.</li>
<li><strong>Firefox</strong>: Settings, Privacy and Security, View Certificates, Authorities, Import, \
for websites.</li>
</ul>
<p>Then close the browser, and open your link again.</p>"
                ),
            ),
            Language::Chinese => page(
                "zh",
                "信任此会议室",
                "<a href=\"?language=en\" lang=\"en\">English</a>",
                &format!(
                    "<p>此会议室使用自己的证书颁发机构，浏览器并不认识它。在您的设备上信任一次，警告便不再出现。\
                     它只为此会议室作证，不涉及互联网上的任何其他网站。</p>
<p><a class=\"certificate\" href=\"/trust/authority.crt\" download>下载证书</a></p>
<h2>确认它属于此会议室</h2>
<p>请将设备显示的 SHA-256 指纹与会议室上 <code>roomctl guests invite</code> 打印的指纹比较，\
或询问发送链接给您的人：</p>
<p><code>{fingerprint}</code></p>
<h2>如何信任</h2>
<ul>
<li><strong>Windows</strong>：打开文件，安装证书，当前用户，放入“受信任的根证书颁发机构”。</li>
<li><strong>macOS</strong>：用“钥匙串访问”打开文件，打开证书，信任，“始终信任”。</li>
<li><strong>iPhone 和 iPad</strong>：打开文件，然后在“设置”“通用”“VPN 与设备管理”中安装描述文件；\
再到“通用”“关于本机”“证书信任设置”中启用。</li>
<li><strong>Android</strong>：设置，安全，加密与凭据，安装证书，CA 证书。</li>
<li><strong>Linux 上的 Chromium 或 Chrome</strong>：设置，隐私和安全，安全，管理证书，颁发机构，导入，用于网站。</li>
<li><strong>Firefox</strong>：设置，隐私与安全，查看证书，证书颁发机构，导入，用于网站。</li>
</ul>
<p>然后关闭浏览器，重新打开您的链接。</p>"
                ),
            ),
        }
    }
}

fn page(language: &str, title: &str, other_language: &str, body: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"{language}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>{title}</title>
<link rel=\"stylesheet\" href=\"/trust/trust.css\">
</head>
<body>
<nav>{other_language}</nav>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"
    )
}
