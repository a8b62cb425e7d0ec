//! An edge proxy of the outbound kind (RFC 5626): [Kamailio](https://www.kamailio.org) between rooms
//! and their registrar.
//!
//! It passes registrations on with its own place in their path and a token of the flow that they
//! came by, and sends what comes for a room down that flow. Rooms reach it over TLS, also by a WebSocket
//! at the path `/ws` (RFC 7118), the registrar over UDP. It authenticates nobody: that is for the
//! registrar.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::child_process::ChildProcess;
use crate::journal::Journal;
use crate::kamailio::{self, STOP_LIMIT};
use crate::ports;

/// A running edge proxy. Ends with this value.
#[derive(Debug)]
pub struct EdgeProxy {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    port: u16,
    tls_port: u16,
    folder: TempDir,
}

impl EdgeProxy {
    /// Starts an edge and waits until it serves. Its TLS certificate is of `authority`, who names it
    /// so.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &str, authority: &Authority) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = ports::free()?;
        let tls_port = ports::free()?;
        let tls = kamailio::tls_parameters(authority, name)?;
        let text = configuration(port, tls_port, &tls)?;
        std::fs::write(folder.path().join(kamailio::FILE), text)?;
        let edge = Self {
            process: kamailio::run(folder.path())?,
            port,
            tls_port,
            folder,
        };
        edge.wait_until_it_answers()?;
        Ok(edge)
    }

    /// Host and port for rooms, over TLS and for WebSockets.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port)
    }

    /// What it logs: each request that it gets is a line of `METHOD from USER`.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// Waits until the registrar has granted that user a binding by this edge, at any time since its
    /// start.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_for_registration(&self, user: &str, timeout: Duration) -> Result<()> {
        let wanted = format!("{user} is registered");
        self.log().wait_for(&wanted, timeout, |line| {
            line.ends_with(&wanted).then_some(())
        })
    }

    /// How many WebSockets it has agreed to since its start.
    #[must_use]
    pub fn websockets(&self) -> usize {
        let log = self.log().entries();
        let agreed = log.iter().filter(|line| line.ends_with("WebSocket agreed"));
        agreed.count()
    }

    /// Ends it: its connections break.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        self.process.wait_for_exit(STOP_LIMIT).map(drop)
    }

    /// Starts it again on the same ports after [`EdgeProxy::stop`]; its log begins anew.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = kamailio::run(self.folder.path())?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        kamailio::wait_until_it_answers(self.port, self.log())
    }
}

fn configuration(port: u16, tls_port: u16, tls: &str) -> Result<String> {
    let mut text = kamailio::listening(port, tls_port);
    // What asks for a WebSocket has no body and says nothing of it.
    text.push_str("tcp_accept_no_cl=yes\n");
    // rr and path ask outbound for flow tokens, and find it only when it is there before them.
    for module in [
        "tm",
        "sl",
        "outbound",
        "rr",
        "path",
        "pv",
        "maxfwd",
        "textops",
        "siputils",
        "xlog",
        "tls",
        "xhttp",
        "websocket",
    ] {
        writeln!(text, "loadmodule \"{module}.so\"")?;
    }
    text.push_str(tls);
    text.push_str(ROUTES);
    Ok(text)
}

const ROUTES: &str = r#"
request_route {
    xlog("L_WARN", "$rm from $fU\n");
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    t_check_trans();
    if (is_method("REGISTER")) {
        loose_route();
        remove_hf("Route");
        if (!add_path()) { sl_send_reply("503", "Service Unavailable"); exit; }
        t_on_reply("REGISTERED");
        t_relay();
        exit;
    }
    $var(way) = loose_route();
    if ($var(way) == -2) { sl_send_reply("430", "Flow Failed"); exit; }
    if (is_method("ACK") && !has_totag()) { t_relay(); exit; }
    if (is_method("INVITE") && !has_totag()) { record_route(); }
    t_relay();
}
onreply_route[REGISTERED] {
    if (status == "200") { xlog("L_WARN", "$fU is registered\n"); }
}
event_route[xhttp:request] {
    if ($hu == "/ws" && $hdr(Upgrade) =~ "websocket") {
        if (ws_handle_handshake()) { xlog("L_WARN", "WebSocket agreed\n"); }
        exit;
    }
    xhttp_reply("404", "Not Found", "", "");
}
"#;

/// A test that fails shows what the edge has seen.
impl Drop for EdgeProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("edge proxy:\n{}", self.log().tail());
        }
    }
}
