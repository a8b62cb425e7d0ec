//! The wire types: the text as serde sees it.
//!
//! Every key is optional here so that all missing ones are reported at once, with their places.

use serde::{Deserialize, Serialize};

/// A whole file of version 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Always 1.
    pub version: Option<i64>,
    /// The room itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// The outgoing picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// The outgoing slides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slides: Option<Slides>,
    /// The outgoing sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microphone: Option<Microphone>,
    /// The far ends' picture and sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playout: Option<Playout>,
    /// SIP for all accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<Sip>,
    /// Calls from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Incoming>,
    /// The join button.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    /// The API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// People who join by a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<Guests>,
    /// The log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// The accounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account: Vec<Account>,
}

/// Declares the wire type of one table: all keys optional, unknown ones refused.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$key_doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $key: Option<$type>,
            )*
        }
    };
}

table!(
    /// `[room]`
    Room {
        /// What the far end sees; default `Room`.
        name: String,
    }
);

table!(
    /// `[camera]`
    Camera {
        /// `simulated`, `file` or `none` (default).
        source: String,
        /// The recording, when `source = "file"`.
        file: String,
        /// Default `1280x720`.
        resolution: String,
        /// Default 30.
        frame_rate: i64,
        /// Default 2500.
        bitrate_kbps: i64,
    }
);

table!(
    /// `[slides]`
    Slides {
        /// `simulated`, `file` or `none` (default).
        source: String,
        /// The recording, when `source = "file"`.
        file: String,
        /// Default `1280x720`.
        resolution: String,
        /// Default 10.
        frame_rate: i64,
        /// Default 1000.
        bitrate_kbps: i64,
    }
);

table!(
    /// `[microphone]`
    Microphone {
        /// `simulated`, `file` or `none` (default).
        source: String,
        /// The recording, when `source = "file"`.
        file: String,
    }
);

table!(
    /// `[playout]`
    Playout {
        /// `window`, `display` (default) or `none`.
        video: String,
        /// `loudspeaker` (default), `simulated` or `none`.
        audio: String,
        /// Where the loudspeaker's sound is written, with `audio = "simulated"`; default: nowhere.
        recording: String,
        /// Percent; default 70.
        volume: i64,
    }
);

table!(
    /// `[sip]`
    Sip {
        /// `ADDRESS:PORT`; not spoken where absent.
        listen_udp: String,
        /// `ADDRESS:PORT`; no listener where absent.
        listen_tcp: String,
        /// `ADDRESS:PORT`; no listener where absent.
        listen_tls: String,
        /// The certificate chain of the TLS listener.
        certificate: String,
        /// Its private key.
        key: String,
        /// Trusted certificates in place of the system's.
        ca_files: Vec<String>,
        /// Whether those who connect to the TLS listener are asked for a certificate: `off` (default),
        /// `optional` or `required`.
        client_certificates: String,
        /// Domains, addresses and networks that may call; a domain only over a TLS connection
        /// that we opened to it, as to register, or by a certificate that it was asked for.
        peers: Vec<String>,
        /// `FIRST-LAST`; default `16384-16483`.
        media_ports: String,
        /// Default `roomd`.
        user_agent: String,
    }
);

table!(
    /// `[[account]]`
    Account {
        /// Required.
        name: String,
        /// Required.
        address: String,
        /// Default: the address's host.
        registrar: String,
        /// Default: none.
        proxy: String,
        /// A second proxy of the same provider, for when the first is out of order. Default: none.
        backup_proxy: String,
        /// `tls` (default), `tcp`, `udp`, `wss` or `ws`.
        transport: String,
        /// The path that is asked for, with `transport = "wss"` or `"ws"`; default `/`.
        websocket_path: String,
        /// Default: the user of the address.
        username: String,
        /// The file that holds the password.
        password_file: String,
        /// The systemd credential that holds the password.
        password_credential: String,
        /// The certificate chain by which it proves itself to servers that ask for one, with
        /// `transport = "tls"` or `"wss"`; default: none.
        certificate: String,
        /// Its private key.
        key: String,
        /// `srtp-required` (default) or `plain-allowed`.
        media_security: String,
        /// How its offers exchange the keys of SRTP: `sdes` (default) or `dtls-srtp`.
        media_keys: String,
        /// Whether its calls use ICE: `off`, `answered` (default) or `offered`.
        ice: String,
        /// Whether its calls have a stream for slides: `on` (default) or `off`.
        content_sharing: String,
        /// What its offers name for floor control: `udp` (default), `tls` or `tcp`.
        floor_transport: String,
        /// Default true.
        register: bool,
        /// Seconds; default 600.
        expires_s: i64,
    }
);

table!(
    /// `[incoming]`
    Incoming {
        /// `never` (default), `trusted-when-asked`, for peers whose call wishes for it (Answer-Mode,
        /// Alert-Info, Call-Info), or `trusted`.
        auto_answer: String,
        /// Whether the far end of a call may hand the room on to somebody else: `refused` (default) or
        /// `allowed`.
        transfers: String,
        /// Whose call may take the place of a standing one: `never`, `same-party` (default) or
        /// `trusted`.
        replaces: String,
        /// `busy` (default) or `add`.
        second_call: String,
        /// The most legs at a time, with `second_call = "add"`; default 4.
        max_legs: i64,
        /// Default 45.
        ring_seconds: i64,
    }
);

table!(
    /// `[join]`
    Join {
        /// Required.
        target: String,
        /// Default: the first account.
        account: String,
    }
);

table!(
    /// `[http]`
    Http {
        /// Default `/run/roomd/api.sock`.
        socket: String,
        /// Default: none.
        socket_group: String,
        /// `ADDRESS:PORT` of this machine; no TCP listener where absent.
        loopback: String,
        /// The file that holds the bearer token of the TCP listener.
        token_file: String,
        /// The systemd credential that holds it.
        token_credential: String,
    }
);

table!(
    /// `[guests]`
    Guests {
        /// `ADDRESS:PORT`; required.
        listen: String,
        /// `https://HOST[:PORT]`; default: an address of this machine, and the port of `listen`.
        public_url: String,
        /// The certificate chain; default: one of the room's own authority.
        certificate: String,
        /// Its private key.
        key: String,
        /// Default 4.
        max_guests: i64,
        /// `ask` (default) or `automatically`.
        admit: String,
        /// Default 1440.
        link_lifetime_minutes: i64,
        /// `on` (default) or `off`.
        media_tcp: String,
        /// Default 7881; 0: the system chooses.
        media_tcp_port: i64,
        /// Of the router that forwards ports; default: none.
        public_addresses: Vec<String>,
        /// The TURN servers that pages are told of; default: none.
        turn: Vec<Turn>,
        /// Who certifies the server by ACME; default: nobody.
        acme: Acme,
    }
);

table!(
    /// `[guests.acme]`
    Acme {
        /// Where the server's directory is; default: that of Let's Encrypt.
        directory: String,
        /// `true`; required.
        terms_of_service_agreed: bool,
        /// A mail address; default: none.
        contact: String,
        /// The authority of a server of the owner's own; default: the system's.
        authority: String,
        /// `ADDRESS:PORT`; default: nobody listens, and the name is proven by TLS-ALPN-01.
        http_listen: String,
        /// The name of a key that an account is bound by; default: none.
        external_account_id: String,
        /// The file that holds the key.
        external_account_key_file: String,
        /// The systemd credential that holds it.
        external_account_key_credential: String,
    }
);

table!(
    /// `[[guests.turn]]`
    Turn {
        /// `turn:HOST[:PORT][?transport=udp|tcp]`, or the same with `turns:`; at least one.
        urls: Vec<String>,
        /// Required with a password.
        username: String,
        /// The file that holds the password.
        password_file: String,
        /// The systemd credential that holds it.
        password_credential: String,
        /// The file that holds a secret of which passwords are made.
        shared_secret_file: String,
        /// The systemd credential that holds it.
        shared_secret_credential: String,
    }
);

table!(
    /// `[log]`
    Log {
        /// `text` (default) or `json`.
        format: String,
        /// `error`, `warn`, `info` (default), `debug` or `trace`.
        level: String,
    }
);
