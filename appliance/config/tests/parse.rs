//! What the parser takes, what it refuses, and in which words.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use config::{
    Admit, AutoAnswer, Config, ConfigError, ContentSharing, FloorTransport, GuestServerIdentity,
    IceUse, Language, MediaKeys, MediaSecurity, Peer, Problem, ProblemCause, Registration,
    Replaces, Rule, SecondCall, SecretSource, SipAddress, Transport, TurnCredentials, Warning,
    parse,
};
use room::media_plan::{AudioSink, VideoSink, VideoSource};
use room::units::Bitrate;

const FILE: &str = "/etc/roomd/roomd.toml";

const WHOLE: &str = r#"
version = 1

[room]
name = "第一会议室"

[camera]
source = "file"
file = "clips/talking.mp4"
resolution = "640x360"
frame_rate = 25
bitrate_kbps = 1200

[slides]
source = "file"
file = "clips/deck.mp4"
resolution = "1920x1080"
frame_rate = 5
bitrate_kbps = 800

[microphone]
source = "simulated"

[playout]
video = "window"
audio = "none"
volume = 40

[sip]
listen_udp = "0.0.0.0:5060"
listen_tcp = "[::]:5060"
listen_tls = "0.0.0.0:5061"
certificate = "tls/room.pem"
key = "/etc/ssl/private/room.key"
ca_files = ["tls/ca.pem"]
peers = ["example.com", "10.1.0.0/16", "2001:db8::7"]
media_ports = "20000-20099"
user_agent = "roomd in the lobby"

[[account]]
name = "office"
address = "sip:lobby@example.com"
registrar = "sip.example.com:5061"
proxy = "proxy.example.com"
backup_proxy = "proxy2.example.com:5071"
username = "lobby"
password_file = "/etc/roomd/office.password"
expires_s = 300

[[account]]
name = "lab"
address = "sip:room7@192.0.2.9:5070;transport=udp"
transport = "udp"
password_credential = "lab"
media_security = "plain-allowed"
media_keys = "dtls-srtp"
ice = "offered"
content_sharing = "off"
floor_transport = "tcp"
register = false

[incoming]
auto_answer = "trusted"
replaces = "trusted"
second_call = "add"
max_legs = 3
ring_seconds = 30

[join]
target = "sip:standup@meet.example.com"
account = "office"

[http]
socket = "/run/roomd/api.sock"
socket_group = "room-users"
loopback = "127.0.0.1:8080"
token_file = "api.token"

[log]
format = "json"
level = "debug"
"#;

fn parsed(text: &str) -> Config {
    parse(text, Path::new(FILE)).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(text: &str) -> Vec<Problem> {
    match parse(text, Path::new(FILE)) {
        Err(ConfigError::Invalid { problems, .. }) => problems,
        Err(other) => panic!("{other}"),
        Ok(config) => panic!("accepted: {config:?}"),
    }
}

fn complaint(text: &str) -> String {
    parse(text, Path::new(FILE))
        .expect_err("a bad text")
        .to_string()
}

#[test]
fn every_key_has_its_meaning() {
    let config = parsed(WHOLE);
    assert_eq!(config.room.name, "第一会议室");
    assert_eq!(
        config.camera.source,
        VideoSource::File("/etc/roomd/clips/talking.mp4".into())
    );
    assert_eq!(config.camera.resolution.to_string(), "640x360");
    assert_eq!(config.camera.frame_rate.0, 25);
    assert_eq!(config.camera.bitrate, Bitrate::kbps(1200));
    assert_eq!(
        config.slides.source,
        VideoSource::File("/etc/roomd/clips/deck.mp4".into())
    );
    assert_eq!(config.slides.resolution.to_string(), "1920x1080");
    assert_eq!(config.slides.frame_rate.0, 5);
    assert_eq!(config.slides.bitrate, Bitrate::kbps(800));
    assert_eq!(config.playout.video, VideoSink::Window);
    assert_eq!(config.playout.audio, AudioSink::None);
    assert_eq!(config.playout.volume.as_percent(), 40);
    let tls = config.sip.listen_tls.as_ref().unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/roomd/tls/room.pem"));
    assert_eq!(tls.key, Path::new("/etc/ssl/private/room.key"));
    assert_eq!(config.sip.ca_files, [Path::new("/etc/roomd/tls/ca.pem")]);
    assert_eq!(
        (config.sip.media_ports.first, config.sip.media_ports.last),
        (20_000, 20_099)
    );
    assert_eq!(config.incoming.auto_answer, AutoAnswer::Trusted);
    assert_eq!(config.incoming.replaces, Replaces::Trusted);
    assert_eq!(config.incoming.second_call, SecondCall::Add { max_legs: 3 });
    assert_eq!(config.incoming.ring_time_out, Duration::from_secs(30));
    let http = config.http.loopback.unwrap();
    assert_eq!(http.address.to_string(), "127.0.0.1:8080");
    assert_eq!(
        http.token,
        SecretSource::File("/etc/roomd/api.token".into())
    );
}

#[test]
fn accounts_default_to_tls_srtp_and_the_host_of_their_address() {
    let config = parsed(WHOLE);
    let [office, lab] = config.accounts.as_slice() else {
        panic!("two accounts")
    };
    assert_eq!(office.transport, Transport::Tls);
    assert_eq!(office.media_security, MediaSecurity::SrtpRequired);
    assert_eq!(
        office.registration,
        Registration::On {
            expires: Duration::from_secs(300)
        }
    );
    assert_eq!(office.media_keys, MediaKeys::Sdes);
    assert_eq!(lab.media_keys, MediaKeys::DtlsSrtp);
    assert_eq!(office.ice, IceUse::Answered);
    assert_eq!(lab.ice, IceUse::Offered);
    assert_eq!(office.content_sharing, ContentSharing::On);
    assert_eq!(lab.content_sharing, ContentSharing::Off);
    assert_eq!(office.floor_transport, FloorTransport::Udp);
    assert_eq!(lab.floor_transport, FloorTransport::Tcp);
    assert_eq!(lab.registrar.to_string(), "192.0.2.9:5070");
    assert_eq!(lab.registration, Registration::Off);
    let credentials = lab.credentials.as_ref().unwrap();
    assert_eq!(credentials.username, "room7");
    assert_eq!(credentials.password, SecretSource::Credential("lab".into()));
}

#[test]
fn the_version_alone_is_a_configuration() {
    let config = parsed("version = 1\n");
    assert_eq!(config.camera.source, VideoSource::None);
    assert_eq!(config.slides.source, VideoSource::None);
    assert_eq!(config.slides.resolution.to_string(), "1280x720");
    assert_eq!(config.slides.frame_rate.0, 10);
    assert_eq!(config.slides.bitrate, Bitrate::kbps(1_000));
    assert_eq!(config.incoming.auto_answer, AutoAnswer::Never);
    assert_eq!(config.incoming.replaces, Replaces::SameParty);
    assert!(config.accounts.is_empty() && config.join.is_none() && config.http.loopback.is_none());
}

#[test]
fn a_domain_whose_calls_have_no_way_in_is_warned_of_in_both_languages() {
    let peers = "version = 1\n[sip]\npeers = [\"example.com\", \"10.1.0.0/16\"]\n";
    let config = parsed(peers);
    let Peer::Domain(domain) = config.sip.peers[0].clone() else {
        panic!("the first peer is a domain");
    };
    let warnings = config.warnings();
    assert_eq!(warnings, [Warning::DomainWithoutRegistration { domain }]);
    for (language, word) in [
        (Language::English, "registers"),
        (Language::Chinese, "注册"),
    ] {
        let text = warnings[0].text(language);
        assert!(
            text.contains("example.com") && text.contains(word),
            "{text}"
        );
    }
    let domains = parsed(WHOLE).warnings().into_iter();
    let domains = domains.filter(|it| matches!(it, Warning::DomainWithoutRegistration { .. }));
    assert_eq!(domains.count(), 0, "an account registers");
}

#[test]
fn a_registrar_that_is_trusted_by_a_wider_peer_is_warned_of_in_both_languages() {
    let trusting = "auto_answer = \"trusted-when-asked\"";
    for (peer, registrar, incoming, warned) in [
        ("10.0.0.0/8", "10.1.2.3", trusting, true),
        ("2001:db8::/32", "[2001:db8::1]", trusting, true),
        ("example.com", "sip.example.com:5061", trusting, true),
        (
            "example.com",
            "10.1.2.3\"\nproxy = \"edge.example.com",
            trusting,
            true,
        ),
        ("10.0.0.0/8", "10.1.2.3", "replaces = \"trusted\"", true),
        // That is what is meant, or trust gives nobody anything.
        ("10.1.2.3", "10.1.2.3", trusting, false),
        ("sip.example.com", "sip.example.com", trusting, false),
        ("10.0.0.0/8", "10.1.2.3", "", false),
        // Others.
        ("10.0.0.0/8", "192.0.2.1", trusting, false),
        ("example.com", "badexample.com", trusting, false),
        (
            "example.com",
            "sip.example.com\"\nregister = false\n#",
            trusting,
            false,
        ),
    ] {
        let config = parsed(&format!(
            "version = 1\n[sip]\npeers = [\"{peer}\"]\n[incoming]\n{incoming}\n[[account]]\n\
             name = \"lab\"\naddress = \"sip:room@example.net\"\nregistrar = \"{registrar}\"\n"
        ));
        let warnings = config.warnings().into_iter();
        let warnings: Vec<_> = warnings
            .filter(|it| matches!(it, Warning::RegistrarTrusted { .. }))
            .collect();
        assert_eq!(
            warnings.len(),
            usize::from(warned),
            "{peer} {registrar} {incoming}"
        );
        for warning in warnings {
            for (language, word) in [
                (Language::English, "account lab"),
                (Language::Chinese, "账户 lab"),
            ] {
                let text = warning.text(language);
                assert!(text.contains(word) && text.contains(peer), "{text}");
            }
        }
    }
}

#[test]
fn an_account_whose_media_keys_travel_in_clear_is_warned_of_in_both_languages() {
    for (transport, security, warned) in [
        ("udp", "srtp-required", true),
        ("tcp", "srtp-required", true),
        ("ws", "srtp-required", true),
        ("tls", "srtp-required", false),
        ("wss", "srtp-required", false),
        ("udp", "plain-allowed", false),
    ] {
        let config = parsed(&format!(
            "version = 1\n[[account]]\nname = \"lab\"\naddress = \"sip:room@example.com\"\n\
             transport = \"{transport}\"\nmedia_security = \"{security}\"\n"
        ));
        let warnings = config.warnings();
        let expected = Warning::KeysInClear {
            account: config.accounts[0].name.clone(),
            transport: config.accounts[0].transport,
        };
        let expected = warned.then_some(expected);
        assert_eq!(warnings, expected.as_slice(), "{transport} {security}");
        for warning in warnings {
            for (language, words) in [
                (Language::English, ["warning: account lab", "in clear"]),
                (Language::Chinese, ["警告:账户 lab", "明文"]),
            ] {
                let text = warning.text(language);
                let complete = words.iter().all(|word| text.contains(word));
                assert!(complete && text.contains(transport), "{text}");
            }
        }
    }
}

#[test]
fn an_account_whose_server_has_another_ip_version_than_media_is_warned_of() {
    for (listen, server, warned) in [
        ("0.0.0.0:5060", "[2001:db8::1]", true),
        ("192.0.2.7:5060", "[2001:db8::1]", true),
        ("[2001:db8::7]:5060", "192.0.2.1", true),
        ("[::]:5060", "192.0.2.1", false),
        ("[::]:5060", "[2001:db8::1]", false),
        ("0.0.0.0:5060", "192.0.2.1", false),
        ("0.0.0.0:5060", "pbx.example", false),
    ] {
        let config = parsed(&format!(
            "version = 1\n[sip]\nlisten_udp = \"{listen}\"\n\
             [[account]]\nname = \"lab\"\naddress = \"sip:room@example.com\"\n\
             registrar = \"{server}\"\n"
        ));
        let warnings = config.warnings();
        assert_eq!(warnings.len(), usize::from(warned), "{listen} {server}");
        for warning in warnings {
            for (language, words) in [
                (Language::English, ["account lab", "listen on [::]"]),
                (Language::Chinese, ["账户 lab", "监听 [::]"]),
            ] {
                let text = warning.text(language);
                let complete = words.iter().all(|word| text.contains(word));
                assert!(complete && text.contains(listen), "{text}");
            }
        }
    }
}

#[test]
fn peers_cover_their_networks_only() {
    let config = parsed(WHOLE);
    let covered = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        config.sip.peers.iter().any(|peer| peer.covers(address))
    };
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"] {
        assert!(covered(address), "{address}");
    }
    for address in ["10.2.0.1", "2001:db8::8", "192.0.2.1"] {
        assert!(!covered(address), "{address}");
    }
    assert!(matches!(config.sip.peers[0], Peer::Domain(_)));
    let everyone = parsed("version = 1\n[sip]\npeers = [\"0.0.0.0/0\"]\n");
    assert!(everyone.sip.peers[0].covers("203.0.113.1".parse().unwrap()));
}

#[test]
fn a_complaint_names_file_line_column_key_and_remedy() {
    let cases = [
        (
            "version = 1\n[camera]\nresolution = \"1280*720\"\n",
            "/etc/roomd/roomd.toml:3:14: camera.resolution: bad value \"1280*720\" (write a \
             width that is a multiple of 8 and an even height such as \"1280x720\", at most \
             \"3840x2160\")",
        ),
        (
            "version = 1\n[slides]\nsource = \"hdmi\"\n",
            "/etc/roomd/roomd.toml:3:10: slides.source: bad value \"hdmi\" (write \
             \"simulated\" or \"file\" or \"none\")",
        ),
        (
            "version = 1\n[incoming]\nauto_anser = \"never\"\n",
            "/etc/roomd/roomd.toml:3:1: incoming.auto_anser: unknown key (did you mean \
             auto_answer?)",
        ),
        (
            "version = 1\n[joyn]\n",
            "/etc/roomd/roomd.toml:2:2: joyn: unknown key (did you mean join?)",
        ),
        (
            "version = 1\n[join]\nxyz = 1\n",
            "/etc/roomd/roomd.toml:3:1: join.xyz: unknown key (known keys: target, account)",
        ),
        (
            "version = 1\n[playout]\nvolume = \"loud\"\n",
            "/etc/roomd/roomd.toml:3:10: playout.volume: wrong type: invalid type: string \
             \"loud\", expected i64 (write the type that is expected)",
        ),
        (
            "version = 1\n[log]\nlevel = \"verbose\"\n",
            "/etc/roomd/roomd.toml:3:9: log.level: bad value \"verbose\" (write \"error\" or \
             \"warn\" or \"info\" or \"debug\" or \"trace\")",
        ),
        (
            "version = 2\n",
            "/etc/roomd/roomd.toml:1:11: version: a version that this program does not read \
             (write version = 1)",
        ),
        (
            "[room]\n",
            "/etc/roomd/roomd.toml:1:1: the file says no version (write version = 1 as the first \
             line)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(complaint(text), expected, "for {text}");
    }
}

#[test]
fn broken_toml_is_reported_at_its_line() {
    let found = problems("version = 1\n[room\nname = \"x\"\n");
    assert!(matches!(found[0].cause, ProblemCause::Syntax { .. }));
    assert_eq!(found[0].location.line, 2);
}

#[test]
fn all_bad_values_are_reported_at_once_in_the_order_of_the_text() {
    let found = problems(
        "version = 1\n[log]\nformat = \"xml\"\n[camera]\nsource = \"file\"\nframe_rate = 0\n\
         [[account]]\nname = \"a b\"\n",
    );
    let keys: Vec<_> = found
        .iter()
        .map(|problem| problem.key.to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "log.format",
            "camera.file",
            "camera.frame_rate",
            "account[0].address",
            "account[0].name"
        ]
    );
}

#[test]
fn a_password_in_the_file_is_refused_with_the_place_where_it_belongs() {
    let text = "version = 1\n[[account]]\nname = \"a\"\naddress = \"sip:a@example.com\"\n\
                password = \"hunter2\"\n";
    let found = problems(text);
    assert_eq!(found[0].cause, ProblemCause::PasswordInFile);
    assert_eq!(found[0].key.to_string(), "account[0].password");
    assert!(complaint(text).contains("password_file"));
    assert!(!complaint(text).contains("hunter2"));
    assert!(SipAddress::new("sip:lobby:hunter2@example.com").is_none());
}

#[test]
fn the_join_button_may_lead_to_a_host_without_a_user() {
    for target in [
        "sip:meet.example.org",
        "sips:meet.example.org:5061",
        "sip:[2001:db8::1]",
        "sip:meet.example.org;transport=tcp",
        "sip:board@example.org",
    ] {
        let text = format!("version = 1\n[join]\ntarget = \"{target}\"\n");
        let config = parse(&text, Path::new("roomd.toml")).unwrap();
        assert_eq!(config.join.unwrap().target.as_str(), target);
    }
    for target in [
        "sip:",
        "sip:@example.org",
        "sip:board:hunter2@example.org",
        "sip:board@",
        "sip:meet example.org",
        "tel:+8610",
        "meet.example.org",
    ] {
        let found = problems(&format!("version = 1\n[join]\ntarget = \"{target}\"\n"));
        assert_eq!(found[0].key.to_string(), "join.target", "{target}");
    }
    // An account is somebody's: without a user, nobody could call it.
    assert!(SipAddress::new("sip:meet.example.org").is_none());
}

#[test]
fn guests_join_by_https_where_the_owner_says() {
    let guests = "version = 1\n[guests]\nlisten = \"[::]:8443\"\n";
    let settings = parsed(guests).guests.unwrap();
    assert_eq!(settings.listen, "[::]:8443".parse().unwrap());
    assert_eq!(settings.identity, GuestServerIdentity::LocalAuthority);
    assert_eq!(settings.admit, Admit::Ask);
    assert_eq!(settings.max_guests, 4);
    assert_eq!(settings.link_lifetime, Duration::from_secs(24 * 60 * 60));
    assert!(settings.public_url.is_none() && settings.turn.is_empty());
    assert_eq!(settings.media_tcp_port, Some(7881));
    for (written, port) in [
        ("media_tcp_port = 0", Some(0)),
        ("media_tcp = \"off\"", None),
    ] {
        let settings = parsed(&format!("{guests}{written}\n")).guests.unwrap();
        assert_eq!(settings.media_tcp_port, port, "{written}");
    }
    assert!(parsed("version = 1\n").guests.is_none());

    let turn = "[[guests.turn]]\nurls = [\"turn:192.0.2.1\"]\nusername = \"room\"\n\
                password_file = \"turn.password\"\n";
    let settings = parsed(&format!("{guests}{turn}")).guests.unwrap();
    let password = SecretSource::File("/etc/roomd/turn.password".into());
    let credentials = TurnCredentials::Password {
        username: "room".to_owned(),
        password,
    };
    assert_eq!(settings.turn[0].credentials, credentials);
    let turn =
        "[[guests.turn]]\nurls = [\"turn:192.0.2.1\"]\nshared_secret_credential = \"turn\"\n";
    let settings = parsed(&format!("{guests}{turn}")).guests.unwrap();
    let secret = SecretSource::Credential("turn".to_owned());
    let credentials = TurnCredentials::SharedSecret(secret);
    assert_eq!(settings.turn[0].credentials, credentials);
    for (key, bad) in [
        (
            "guests.public_url",
            "public_url = \"http://room.example.com\"",
        ),
        ("guests.admit", "admit = \"nobody\""),
        ("guests.max_guests", "max_guests = 17"),
        (
            "guests.public_addresses[0]",
            "public_addresses = [\"127.0.0.1\"]",
        ),
        (
            "guests.public_addresses[1]",
            "public_addresses = [\"203.0.113.7\", \"room.example.com\"]",
        ),
        (
            "guests.public_addresses[2]",
            "public_addresses = [\"203.0.113.7\", \"2001:db8::7\", \"203.0.113.8\"]",
        ),
        ("guests.media_tcp", "media_tcp = \"maybe\""),
        ("guests.media_tcp_port", "media_tcp_port = 65536"),
        ("guests.link_lifetime_minutes", "link_lifetime_minutes = 4"),
        (
            "guests.turn[0].urls",
            "[[guests.turn]]\nusername = \"a\"\npassword_file = \"p\"",
        ),
        (
            "guests.turn[0].urls[0]",
            "[[guests.turn]]\nurls = [\"stun:a\"]\nusername = \"a\"\npassword_file = \"p\"",
        ),
        (
            "guests.turn[0].username",
            "[[guests.turn]]\nurls = [\"turn:a\"]\nusername = \"a\"\nshared_secret_file = \"s\"",
        ),
        (
            "guests.turn[0].password_file",
            "[[guests.turn]]\nurls = [\"turn:a\"]\nusername = \"a\"",
        ),
    ] {
        let found = problems(&format!("{guests}{bad}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].key.to_string(), key);
    }
}

#[test]
fn acme_certifies_a_name_once_its_terms_are_agreed_to() {
    let guests = "version = 1\n[guests]\nlisten = \"[::]:443\"\n";
    let named = format!("{guests}public_url = \"https://room.example.com\"\n");
    let agreed = "[guests.acme]\nterms_of_service_agreed = true\n";
    let settings = parsed(&format!("{named}{agreed}")).guests.unwrap();
    let GuestServerIdentity::Acme(acme) = settings.identity else {
        panic!("{:?}", settings.identity);
    };
    let lets_encrypt = "https://acme-v02.api.letsencrypt.org/directory";
    assert_eq!(acme.directory.as_str(), lets_encrypt);
    assert!(acme.contact.is_none() && acme.authority.is_none() && acme.http_listen.is_none());
    assert!(acme.external_account.is_none());

    let bound = "external_account_id = \"kid-1\"\nexternal_account_key_file = \"acme.key\"\n";
    let settings = parsed(&format!("{named}{agreed}{bound}")).guests.unwrap();
    let GuestServerIdentity::Acme(acme) = settings.identity else {
        panic!("{:?}", settings.identity);
    };
    let account = acme.external_account.unwrap();
    assert_eq!(account.id, "kid-1");
    assert_eq!(
        account.key,
        SecretSource::File("/etc/roomd/acme.key".into())
    );

    let files = "certificate = \"c\"\nkey = \"k\"\n";
    let by_address = format!("{guests}public_url = \"https://192.0.2.7\"\n");
    for (text, keys) in [
        (format!("{guests}{agreed}"), &["guests.public_url"][..]),
        (format!("{by_address}{agreed}"), &["guests.public_url"]),
        (
            format!("{named}{files}{agreed}"),
            &["guests.certificate", "guests.key"],
        ),
        (
            format!("{named}[guests.acme]\n"),
            &["guests.acme.terms_of_service_agreed"],
        ),
        (
            format!("{named}[guests.acme]\nterms_of_service_agreed = false\n"),
            &["guests.acme.terms_of_service_agreed"],
        ),
        (
            format!("{named}{agreed}directory = \"http://ca.example/\"\n"),
            &["guests.acme.directory"],
        ),
        (
            format!("{named}{agreed}contact = \"mailto:a@example.com,b@example.com\"\n"),
            &["guests.acme.contact"],
        ),
        (
            format!("{named}{agreed}external_account_id = \"a\"\n"),
            &["guests.acme.external_account_key_file"],
        ),
        (
            format!("{named}{agreed}external_account_key_credential = \"a\"\n"),
            &["guests.acme.external_account_key_file"],
        ),
    ] {
        let found = problems(&text);
        let found: Vec<_> = found
            .iter()
            .map(|problem| problem.key.to_string())
            .collect();
        assert_eq!(found, keys, "{text}");
    }
}

#[test]
fn what_needs_a_second_key_says_which() {
    let cases = [
        ("[microphone]\nsource = \"file\"\n", "microphone.file"),
        ("[camera]\nsource = \"none\"\nfile = \"x\"\n", "camera.file"),
        ("[slides]\nsource = \"file\"\n", "slides.file"),
        ("[slides]\nfile = \"x\"\n", "slides.file"),
        (
            "[sip]\nlisten_tls = \"0.0.0.0:5061\"\ncertificate = \"c\"\n",
            "sip.key",
        ),
        ("[sip]\nkey = \"k\"\n", "sip.key"),
        (
            "[sip]\nclient_certificates = \"optional\"\n",
            "sip.client_certificates",
        ),
        ("[[account]]\ncertificate = \"c\"\n", "account[0].key"),
        (
            "[[account]]\nwebsocket_path = \"/ws\"\n",
            "account[0].websocket_path",
        ),
        (
            "[[account]]\ntransport = \"wss\"\nwebsocket_path = \"ws\"\n",
            "account[0].websocket_path",
        ),
        (
            "[[account]]\ntransport = \"ws\"\ncertificate = \"c\"\nkey = \"k\"\n",
            "account[0].certificate",
        ),
        (
            "[[account]]\ncertificate = \"c\"\nkey = \"k\"\ntransport = \"udp\"\n",
            "account[0].certificate",
        ),
        ("[http]\nloopback = \"127.0.0.1:80\"\n", "http.token_file"),
        ("[http]\ntoken_file = \"t\"\n", "http.token_file"),
        ("[guests]\n", "guests.listen"),
        (
            "[guests]\nlisten = \"[::]:443\"\ncertificate = \"c\"\n",
            "guests.key",
        ),
        (
            "[guests]\nlisten = \"[::]:443\"\nkey = \"k\"\n",
            "guests.key",
        ),
        ("[incoming]\nmax_legs = 3\n", "incoming.max_legs"),
        ("[join]\naccount = \"a\"\n", "join.target"),
    ];
    for (tables, key) in cases {
        let found = problems(&format!("version = 1\n{tables}"));
        assert!(
            found.iter().any(|problem| problem.key.to_string() == key),
            "{tables}: {found:?}"
        );
    }
}

#[test]
fn values_from_outside_their_rules_are_refused() {
    let cases = [
        "[http]\nloopback = \"0.0.0.0:8080\"\ntoken_file = \"t\"",
        "[sip]\npeers = [\"10.1.0.1/16\"]",
        "[sip]\npeers = [\"10.1.0.0/33\"]",
        "[sip]\npeers = [\"300.1.2.3\"]",
        "[sip]\nmedia_ports = \"16385-16500\"",
        "[sip]\nmedia_ports = \"16384-16386\"",
        "[sip]\nmedia_ports = \"20000-16384\"",
        "[sip]\nuser_agent = \"a\\r\\nEvil: 1\"",
        "[join]\ntarget = \"tel:+4930\"",
        "[join]\ntarget = \"sip:a@exa mple.com\"",
        "[join]\ntarget = \"sip:@example.com\"",
        "[join]\ntarget = \"sip:a@example.com:0\"",
        "[camera]\nresolution = \"99999999999x2\"",
        "[camera]\nresolution = \"641x360\"",
        "[slides]\nresolution = \"1281x720\"",
        "[slides]\nframe_rate = 61",
        "[slides]\nbitrate_kbps = 63",
        "[room]\nname = \"\"",
        "[playout]\nvolume = 101",
        "[incoming]\nring_seconds = -9223372036854775808",
    ];
    for table in cases {
        let found = problems(&format!("version = 1\n{table}\n"));
        assert!(
            found
                .iter()
                .all(|problem| matches!(problem.cause, ProblemCause::BadValue { .. })),
            "{table}: {found:?}"
        );
    }
}

#[test]
fn a_floor_over_a_connection_in_the_clear_needs_media_that_may_be_plain() {
    let account = |more: &str| {
        format!("version = 1\n[[account]]\nname = \"a\"\naddress = \"sip:a@example.com\"\n{more}")
    };
    let found = problems(&account("floor_transport = \"tcp\"\n"));
    let unless = "media_security = \"plain-allowed\"";
    assert_eq!(found[0].cause, ProblemCause::Pointless { unless });
    for fine in [
        "floor_transport = \"tls\"\n",
        "floor_transport = \"tcp\"\nmedia_security = \"plain-allowed\"\n",
    ] {
        parsed(&account(fine));
    }
}

#[test]
fn a_size_that_no_picture_can_have_is_refused_before_the_service_starts() {
    for table in ["camera", "slides"] {
        let found = |source: &str, size: &str| {
            let text =
                format!("version = 1\n[{table}]\nsource = \"{source}\"\nresolution = \"{size}\"\n");
            let mut causes = problems(&text).into_iter().map(|problem| problem.cause);
            causes.next().expect("a problem")
        };
        for (source, size, expected) in [
            ("simulated", "320x180", Rule::SimulatedResolution),
            ("simulated", "642x360", Rule::Resolution),
            ("none", "642x360", Rule::Resolution),
        ] {
            let cause = found(source, size);
            let ProblemCause::BadValue { rule, .. } = cause else {
                panic!("{cause:?}");
            };
            assert_eq!(rule, expected, "{table} {source} {size}");
        }
        parsed(&format!(
            "version = 1\n[{table}]\nsource = \"none\"\nresolution = \"320x180\"\n"
        ));
    }
}

#[test]
fn a_recording_of_the_loudspeaker_needs_a_simulated_one() {
    let simulated = "version = 1\n[playout]\naudio = \"simulated\"\nrecording = \"heard.pcm\"\n";
    let config = parsed(simulated);
    let path = Path::new("/etc/roomd/heard.pcm");
    assert_eq!(config.playout.recording.as_deref(), Some(path));
    let found = problems("version = 1\n[playout]\naudio = \"none\"\nrecording = \"heard.pcm\"\n");
    let unless = "audio = \"simulated\"";
    assert_eq!(found[0].cause, ProblemCause::Pointless { unless });
}

#[test]
fn accounts_are_told_apart_by_name() {
    let account = "[[account]]\nname = \"a\"\naddress = \"sip:a@example.com\"\n";
    let found = problems(&format!("version = 1\n{account}{account}"));
    assert_eq!(found[0].cause, ProblemCause::Duplicate { name: "a".into() });
    assert_eq!(found[0].location.line, 6);
    let found = problems(&format!(
        "version = 1\n{account}[join]\ntarget = \"sip:b@c.de\"\naccount = \"b\"\n"
    ));
    let known = vec!["a".to_owned()];
    assert_eq!(
        found[0].cause,
        ProblemCause::UnknownAccount {
            name: "b".into(),
            known
        }
    );
}

#[test]
fn a_backup_proxy_is_another_than_the_proxy_that_it_stands_in_for() {
    let account = "version = 1\n[[account]]\nname = \"a\"\naddress = \"sip:a@b.de\"\n";
    let found = problems(&format!("{account}backup_proxy = \"p.de\"\n"));
    assert_eq!(found[0].cause, ProblemCause::Pointless { unless: "proxy" });
    assert_eq!(found[0].location.line, 5);
    let text = format!("{account}proxy = \"p.de:5061\"\nbackup_proxy = \"p.de:5061\"\n");
    let name = "p.de:5061".to_owned();
    assert_eq!(problems(&text)[0].cause, ProblemCause::Duplicate { name });
    let found = problems(&format!(
        "{account}proxy = \"p.de\"\nbackup_proxy = \"p q\"\n"
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    let one = format!("{account}proxy = \"p.de\"\nbackup_proxy = \"q.de\"\n");
    let backup = &parsed(&one).accounts[0].backup_proxy;
    assert_eq!(
        backup.as_ref().map(ToString::to_string).as_deref(),
        Some("q.de")
    );
}

#[test]
fn complaints_are_also_in_chinese() {
    let error = parse("version = 1\n[log]\nlevel = \"x\"\n", Path::new(FILE)).unwrap_err();
    let text = error.text(Language::Chinese);
    assert!(
        text.starts_with("/etc/roomd/roomd.toml:3:9:log.level:无效的值"),
        "{text}"
    );
}

#[test]
fn a_long_address_whose_user_asks_for_a_password_is_rendered_so_that_it_can_be_read_again() {
    let user = "u".repeat(200);
    let config = parsed(&format!(
        "version = 1\n[[account]]\nname = \"lab\"\naddress = \"sip:{user}@example.com\"\n\
         password_credential = \"lab\"\n"
    ));
    assert_eq!(parsed(&config.to_toml()), config);
}

#[test]
fn a_rendered_configuration_means_the_same() {
    let config = parsed(WHOLE);
    assert_eq!(parsed(&config.to_toml()), config);
}
