//! [Kamailio](https://www.kamailio.org), a SIP registrar and proxy that others wrote.
//!
//! It authenticates its users by digest (MD5 or SHA-256), keeps where they are, and routes calls
//! between them, staying in the path. It listens on 127.0.0.1 alone, with UDP, TCP and TLS, and takes
//! WebSockets at the path `/ws` of the latter two. What it knows lives in its memory: a restarted one has
//! no user's place.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::baresip::Transport;
use crate::child_process::ChildProcess;
use crate::journal::Journal;
use crate::ports;

/// The configuration file in its folder.
pub(crate) const FILE: &str = "kamailio.cfg";
const START_LIMIT: Duration = Duration::from_secs(20);
/// It ends its child processes one by one.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The hash of the digest (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// `MD5`, which every endpoint speaks.
    Md5,
    /// `SHA-256`.
    Sha256,
}

impl DigestAlgorithm {
    /// The name in a challenge.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// A user whom the registrar knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User name, of the address and of the digest alike.
    pub name: String,
    /// Digest password.
    pub password: String,
}

/// How a registrar is set up.
#[derive(Clone, Debug)]
pub struct KamailioConfig {
    /// The digest's hash.
    pub digest: DigestAlgorithm,
    /// Everybody who may register.
    pub users: Vec<User>,
    /// It grants no registration for longer, whatever is asked for.
    pub longest_registration: Duration,
}

/// What the registrar knows of a user after a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Where the user is.
    Kept,
    /// Nothing: the user has left.
    Removed,
}

/// A running registrar and proxy. Ends with this value.
#[derive(Debug)]
pub struct Kamailio {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    port: u16,
    tls_port: u16,
    folder: TempDir,
}

impl Kamailio {
    /// Starts a registrar and waits until it serves. Its TLS certificate is of `authority`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(config: &KamailioConfig, authority: &Authority) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = ports::free()?;
        let tls_port = ports::free()?;
        let tls = tls_parameters(authority, "kamailio")?;
        std::fs::write(
            folder.path().join(FILE),
            configuration(config, port, tls_port, &tls)?,
        )?;
        let kamailio = Self {
            process: run(folder.path())?,
            port,
            tls_port,
            folder,
        };
        kamailio.wait_until_it_answers()?;
        Ok(kamailio)
    }

    /// Ends it and starts it again on the same ports: it has forgotten everybody, and its log begins
    /// anew.
    ///
    /// # Errors
    /// When it does not end, or does not come back.
    pub fn restart(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT)?;
        self.process = run(self.folder.path())?;
        self.wait_until_it_answers()
    }

    /// Host and port for registrations over that transport.
    #[must_use]
    pub fn address(&self, transport: Transport) -> String {
        let port = match transport {
            Transport::Udp | Transport::Tcp => self.port,
            Transport::Tls => self.tls_port,
        };
        format!("127.0.0.1:{port}")
    }

    /// What it logs: each request that it gets is a line of `METHOD from USER`.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// How many requests of that method and user it has got.
    #[must_use]
    pub fn requests(&self, method: &str, user: &str) -> usize {
        let wanted = format!("{method} from {user}");
        let log = self.log().entries();
        log.iter().filter(|line| line.ends_with(&wanted)).count()
    }

    /// Waits for a request of that method and user, of any time since the start.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_request(&self, method: &str, user: &str, timeout: Duration) -> Result<()> {
        let wanted = format!("{method} from {user}");
        self.log().wait_for(&wanted, timeout, |line| {
            line.ends_with(&wanted).then_some(())
        })
    }

    /// Waits for a REGISTER of that user, of any time since the start, after which that was known.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_binding(&self, user: &str, binding: Binding, timeout: Duration) -> Result<()> {
        let wanted = match binding {
            Binding::Kept => format!("binding of {user} kept"),
            Binding::Removed => format!("binding of {user} removed"),
        };
        self.log().wait_for(&wanted, timeout, |line| {
            line.ends_with(&wanted).then_some(())
        })
    }

    /// Ends it and waits until its ports are free.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).map(drop)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        wait_until_it_answers(self.port, self.log())
    }
}

/// Asks by OPTIONS until it answers: its workers listen some time after it has started.
pub(crate) fn wait_until_it_answers(port: u16, log: &Journal<String>) -> Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let local = socket.local_addr()?;
    let deadline = std::time::Instant::now() + START_LIMIT;
    for attempt in 0_u32.. {
        let request = format!(
            "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {local};branch=z9hG4bK-ready-{attempt}\r\n\
                 From: <sip:harness@127.0.0.1>;tag=harness\r\n\
                 To: <sip:127.0.0.1:{port}>\r\n\
                 Call-ID: ready-{attempt}@127.0.0.1\r\n\
                 CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        // Before it listens, the kernel refuses: that is an answer of neither kind.
        let sent = socket.send(request.as_bytes());
        let mut answer = [0; 2_048];
        if sent.is_ok() && socket.recv(&mut answer).is_ok_and(|length| length > 0) {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            break;
        }
    }
    anyhow::bail!("kamailio does not answer; it said:\n{}", log.tail())
}

/// Starts it on its folder.
pub(crate) fn run(folder: &Path) -> Result<ChildProcess> {
    let mut command = Command::new("kamailio");
    command
        // In the foreground, logging to standard error; 64 and 8 MB of memory are plenty.
        .args(["-DD", "-E", "-m", "64", "-M", "8"])
        .arg("-f")
        .arg(folder.join(FILE))
        .arg("-Y")
        .arg(folder)
        .arg("-P")
        .arg(folder.join("kamailio.pid"))
        .current_dir(folder);
    ChildProcess::start("kamailio", &mut command)
}

/// How it proves itself, by an identity of `authority`, and whom it trusts.
pub(crate) fn tls_parameters(authority: &Authority, name: &str) -> Result<String> {
    let identity = authority.issue(name)?;
    Ok(format!(
        // Its default method fails every TLS 1.3 handshake.
        "modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
         modparam(\"tls\", \"certificate\", \"{}\")\n\
         modparam(\"tls\", \"private_key\", \"{}\")\n\
         modparam(\"tls\", \"ca_list\", \"{}\")\n",
        identity.certificate.display(),
        identity.key.display(),
        authority.certificate().display()
    ))
}

/// How it runs, and where it listens.
pub(crate) fn listening(port: u16, tls_port: u16) -> String {
    // Children that OpenSSL keeps from ending are killed after two seconds (exit_timeout).
    format!(
        "#!KAMAILIO\n\
         debug=2\nlog_stderror=yes\nchildren=1\ntcp_children=1\nauto_aliases=no\ndns=no\nexit_timeout=2\n\
         enable_tls=yes\n\
         listen=udp:127.0.0.1:{port}\nlisten=tcp:127.0.0.1:{port}\nlisten=tls:127.0.0.1:{tls_port}\n\
         alias=\"127.0.0.1:{port}\"\nalias=\"127.0.0.1:{tls_port}\"\n"
    )
}

/// The whole configuration file.
fn configuration(config: &KamailioConfig, port: u16, tls_port: u16, tls: &str) -> Result<String> {
    let mut text = listening(port, tls_port);
    // What asks for a WebSocket has no body and says nothing of it.
    text.push_str("tcp_accept_no_cl=yes\n");
    for module in [
        "tm",
        "sl",
        "rr",
        "pv",
        "maxfwd",
        "usrloc",
        "registrar",
        "textops",
        "siputils",
        "xlog",
        "auth",
        "tls",
        "nathelper",
        "xhttp",
        "websocket",
    ] {
        writeln!(text, "loadmodule \"{module}.so\"")?;
    }
    text.push_str(tls);
    let algorithm = config.digest.name();
    writeln!(text, "modparam(\"auth\", \"algorithm\", \"{algorithm}\")")?;
    // Re-registrations of a test come within seconds: a nonce serves them all.
    writeln!(text, "modparam(\"auth\", \"nonce_expire\", 300)")?;
    writeln!(text, "modparam(\"registrar\", \"min_expires\", 1)")?;
    // Nobody can connect to who comes by a WebSocket: the connection is remembered.
    writeln!(
        text,
        "modparam(\"nathelper|registrar\", \"received_avp\", \"$avp(RECEIVED)\")"
    )?;
    // Who comes by an edge proxy is called by it.
    writeln!(text, "modparam(\"registrar\", \"use_path\", 1)")?;
    let longest = config.longest_registration.as_secs();
    writeln!(text, "modparam(\"registrar\", \"max_expires\", {longest})")?;
    text.push_str(ROUTES);
    writeln!(text, "route[PASSWORD] {{\n    $var(password) = \"\";")?;
    for User { name, password } in &config.users {
        writeln!(
            text,
            "    if ($fU == \"{name}\") {{ $var(password) = \"{password}\"; }}"
        )?;
    }
    text.push_str("}\n");
    Ok(text)
}

/// Registration, calls between registered users, and requests within calls.
const ROUTES: &str = r#"
request_route {
    xlog("L_WARN", "$rm from $fU\n");
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (has_totag()) {
        if (proto == WS || proto == WSS) { add_contact_alias(); }
        if (loose_route()) {
            if ($du == $null) { handle_ruri_alias(); }
            t_relay();
            exit;
        }
        if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
        sl_send_reply("404", "Not Here");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    t_check_trans();
    if (proto == WS || proto == WSS) {
        if (is_method("REGISTER")) { fix_nated_register(); } else { add_contact_alias(); }
    }
    route(PASSWORD);
    if ($var(password) == "") { sl_send_reply("403", "Forbidden"); exit; }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$fd", "$var(password)", "0")) {
            www_challenge("$fd", "1");
            exit;
        }
        consume_credentials();
        save("location");
        if (registered("location", "$tu")) {
            xlog("L_WARN", "binding of $tU kept\n");
        } else {
            xlog("L_WARN", "binding of $tU removed\n");
        }
        exit;
    }
    if (!pv_proxy_authenticate("$fd", "$var(password)", "0")) {
        proxy_challenge("$fd", "1");
        exit;
    }
    consume_credentials();
    if (is_method("INVITE")) { record_route(); }
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
}
onreply_route {
    if (proto == WS || proto == WSS) { add_contact_alias(); }
}
event_route[xhttp:request] {
    if ($hu == "/ws" && $hdr(Upgrade) =~ "websocket") {
        xlog("L_WARN", "WebSocket from $proto\n");
        ws_handle_handshake();
        exit;
    }
    xhttp_reply("404", "Not Found", "", "");
}
"#;
