//! Responses and proofs against values that others have calculated.

use super::*;
use crate::grammar::{Challenge, HeaderValue as _};
use crate::secret::Secret;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn challenge(text: &str) -> Challenge {
    Challenge::parse_value(text).unwrap()
}

fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        username: username.into(),
        password: Secret::new(password),
    }
}

fn session(text: &str, client_nonce: &str) -> DigestSession {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let challenge = DigestChallenge::read(&challenge(text)).unwrap();
    DigestSession {
        client_nonce: client_nonce.into(),
        ..DigestSession::new(challenge, &mut rng)
    }
}

fn get(uri: &str) -> AuthorizedRequest<'_> {
    static METHOD: std::sync::LazyLock<Method> =
        std::sync::LazyLock::new(|| "GET".parse().unwrap());
    AuthorizedRequest {
        method: &METHOD,
        uri,
        body: b"v=0",
    }
}

/// RFC 7616 section 3.9.1, save `algorithm` and `qop`.
const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", \
    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
    opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
const RFC_7616_CLIENT_NONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

#[test]
fn responses_are_those_of_the_rfc_and_of_openssl() {
    let table = [
        // The first two are printed in RFC 7616; the others were calculated with OpenSSL.
        ("MD5", "auth, auth-int", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "auth, auth-int",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        ("MD5", "auth-int", "3835b139d1606d821f6f96713d044ded"),
        (
            "sha-256",
            "auth-int",
            "b3a4a0111e74e28223bac4af55ade12af037f6c8a019923135a0dca0d384407f",
        ),
        ("MD5-sess", "auth", "e783283f46242139c486a698fec7211d"),
        (
            "SHA-256-SESS",
            "auth",
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
        ),
    ];
    for (algorithm, qop, response) in table {
        let text = format!("{RFC_7616}, algorithm={algorithm}, qop=\"{qop}\"");
        let mut session = session(&text, RFC_7616_CLIENT_NONCE);
        let answer = session
            .authorize(
                &credentials("Mufasa", "Circle of Life"),
                get("/dir/index.html"),
            )
            .unwrap();
        let params = answer.params();
        assert_eq!(params.get("response"), Some(response), "{algorithm} {qop}");
        assert_eq!(params.get("algorithm"), Some(algorithm));
        assert_eq!(params.get("cnonce"), Some(RFC_7616_CLIENT_NONCE));
        assert_eq!(params.get("nc"), Some("00000001"));
        let opaque = Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
        assert_eq!(params.get("opaque"), opaque);
    }
}

#[test]
fn sha_512_256_takes_names_beyond_ascii() {
    let text = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
        nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
    let mut session = session(text, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
    let answer = session
        .authorize(
            &credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?"),
            get("/doe.json"),
        )
        .unwrap();
    // Calculated with OpenSSL.
    let response = "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c";
    assert_eq!(answer.params().get("response"), Some(response));
}

#[test]
fn a_server_of_rfc_2069_gets_neither_qop_nor_client_nonce() {
    let text = "Digest realm=\"testrealm@host.com\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let mut session = session(text, "unused");
    let answer = session
        .authorize(
            &credentials("Mufasa", "CircleOfLife"),
            get("/dir/index.html"),
        )
        .unwrap();
    let params = answer.params();
    assert_eq!(
        params.get("response"),
        Some("1949323746fe6a43ef61f9606e7febea")
    );
    for absent in ["qop", "nc", "cnonce", "algorithm", "opaque"] {
        assert!(!params.contains(absent), "{absent}");
    }
}

#[test]
fn each_use_of_a_nonce_is_counted_and_changes_the_response() {
    let text = format!("{RFC_7616}, algorithm=SHA-256, qop=\"auth\"");
    let mut session = session(&text, RFC_7616_CLIENT_NONCE);
    let mufasa = credentials("Mufasa", "Circle of Life");
    session.authorize(&mufasa, get("/dir/index.html")).unwrap();
    let second = session.authorize(&mufasa, get("/dir/index.html")).unwrap();
    assert_eq!(second.params().get("nc"), Some("00000002"));
    // Calculated with OpenSSL.
    let response = "8c8db27f49ff1c202f9fb49fa9d2e9eabf078dcc93db40dfd6527010091d1c8e";
    assert_eq!(second.params().get("response"), Some(response));
}

#[test]
fn only_a_stale_nonce_is_worth_another_try() {
    let read = |nonce: &str, rest: &str| {
        let text = format!("Digest realm=\"a\", nonce=\"{nonce}\", qop=\"auth\"{rest}");
        DigestChallenge::read(&challenge(&text)).unwrap()
    };
    let table = [
        (
            "new nonce, stale",
            read("2", ", stale=TRUE"),
            Rechallenge::Renewed,
        ),
        ("new nonce, not stale", read("2", ""), Rechallenge::Refused),
        (
            "stale=false",
            read("2", ", stale=false"),
            Rechallenge::Refused,
        ),
        (
            "the same nonce again",
            read("1", ", stale=true"),
            Rechallenge::Refused,
        ),
    ];
    for (name, second, verdict) in table {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let mut session = DigestSession::new(read("1", ""), &mut rng);
        session
            .authorize(&credentials("a", "b"), get("sip:a"))
            .unwrap();
        assert_eq!(session.challenged(&[second]), verdict, "{name}");
        let answer = session
            .authorize(&credentials("a", "b"), get("sip:a"))
            .unwrap();
        let (nonce, count) = match verdict {
            Rechallenge::Renewed => ("2", "00000001"),
            Rechallenge::Refused => ("1", "00000002"),
        };
        assert_eq!(answer.params().get("nonce"), Some(nonce), "{name}");
        assert_eq!(answer.params().get("nc"), Some(count), "{name}");
    }
}

#[test]
fn a_next_nonce_starts_its_own_count() {
    let mut session = session("Digest realm=\"a\", nonce=\"1\", qop=\"auth\"", "c");
    let anyone = credentials("a", "b");
    session.authorize(&anyone, get("sip:a")).unwrap();
    session.set_next_nonce("2");
    let answer = session.authorize(&anyone, get("sip:a")).unwrap();
    assert_eq!(answer.params().get("nonce"), Some("2"));
    assert_eq!(answer.params().get("nc"), Some("00000001"));
}

#[test]
fn a_nonce_of_an_earlier_request_is_renewed_without_a_word_but_only_once() {
    let read = |nonce: &str| {
        let text = format!("Digest realm=\"a\", nonce=\"{nonce}\", qop=\"auth\"");
        DigestChallenge::read(&challenge(&text)).unwrap()
    };
    let mut session = session("Digest realm=\"a\", nonce=\"1\", qop=\"auth\"", "c");
    session.carried_over();
    assert_eq!(session.challenged(&[read("2")]), Rechallenge::Renewed);
    assert_eq!(session.challenged(&[read("3")]), Rechallenge::Refused);
    session.carried_over();
    assert_eq!(
        session.challenged(&[read("2")]),
        Rechallenge::Refused,
        "the same"
    );
}

#[test]
fn the_key_of_a_session_algorithm_stays_that_of_the_challenge() {
    let text = "Digest realm=\"a\", nonce=\"1\", qop=\"auth\", algorithm=MD5-sess";
    let mut session = session(text, "c");
    let anyone = credentials("a", "b");
    session.authorize(&anyone, get("sip:a")).unwrap();
    session.set_next_nonce("2");
    let answer = session.authorize(&anyone, get("sip:a")).unwrap();
    let md5 = |text: &str| HashAlgorithm::Md5.hash(text.as_bytes());
    let key = md5(&format!("{}:1:c", md5("a:a:b")));
    let expected = md5(&format!("{key}:2:00000001:c:auth:{}", md5("GET:sip:a")));
    assert_eq!(answer.params().get("response"), Some(expected.as_str()));
}

#[test]
fn a_server_proves_that_it_knows_the_password() {
    // Calculated with another implementation of the hashes, over the values of RFC 7616
    // section 3.9.1.
    let table = [
        (
            "MD5",
            "auth",
            "9b712497bc9f91499fbcca1dfc5f09a5",
            ServerProof::Proven,
        ),
        (
            "MD5",
            "auth-int",
            "31b34b7281e1d7f5296f1722380633d3",
            ServerProof::Proven,
        ),
        (
            "SHA-256",
            "auth",
            "86d3b25618d41854ca5039a5d7e53ff6355d5134a9b1fb088a78ac3c462195a0",
            ServerProof::Proven,
        ),
        (
            "SHA-256",
            "auth-int",
            "ed175a843fc0bb2aa940d08b72b276a27a282618bf0303000bfb5f93cca35bb0",
            ServerProof::Proven,
        ),
        // Our own response, sent back.
        (
            "MD5",
            "auth",
            "8ca523f5e9506fed4657c9700eebdbec",
            ServerProof::Wrong,
        ),
        (
            "MD5",
            "auth-conf",
            "9b712497bc9f91499fbcca1dfc5f09a5",
            ServerProof::Wrong,
        ),
        ("MD5", "auth", "", ServerProof::NotGiven),
    ];
    let mufasa = credentials("Mufasa", "Circle of Life");
    for (algorithm, qop, proof, verdict) in table {
        let text = format!("{RFC_7616}, algorithm={algorithm}, qop=\"auth, auth-int\"");
        let mut session = session(&text, RFC_7616_CLIENT_NONCE);
        session.authorize(&mufasa, get("/dir/index.html")).unwrap();
        let text = format!("qop={qop}, rspauth=\"{proof}\", nc=00000001");
        let info = AuthenticationInfo::parse_value(&text).unwrap();
        let proven = session.prove_server(&mufasa, &info, "/dir/index.html", b"v=0");
        assert_eq!(proven, verdict, "{algorithm} {text}");
        let another = AuthenticationInfo::parse_value(&format!("{text}, cnonce=\"x\"")).unwrap();
        let proven = session.prove_server(&mufasa, &another, "/dir/index.html", b"v=0");
        assert_ne!(proven, ServerProof::Proven, "the answer to somebody else");
    }
}

#[test]
fn a_server_of_rfc_2069_proves_itself_without_counts() {
    let mufasa = credentials("Mufasa", "Circle of Life");
    let mut session = session(&format!("{RFC_7616}, algorithm=SHA-256"), "unused");
    session.authorize(&mufasa, get("/dir/index.html")).unwrap();
    let proof = "a5e56293281a7f4fa38ce4546158e549b559a3b138db8579d856e77e2cfab87c";
    let info = AuthenticationInfo::parse_value(&format!("rspauth=\"{proof}\"")).unwrap();
    let proven = session.prove_server(&mufasa, &info, "/dir/index.html", b"");
    assert_eq!(proven, ServerProof::Proven);
}

#[test]
fn a_user_name_is_hashed_when_the_server_asks_for_it_and_only_then() {
    for (wish, name, flag) in [
        (
            ", userhash=true",
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
            Some("true"),
        ),
        (", userhash=false", "J\u{e4}s\u{f8}n Doe", None),
        ("", "J\u{e4}s\u{f8}n Doe", None),
    ] {
        let text = format!(
            "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
             nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"{wish}"
        );
        let mut session = session(&text, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
        let jason = credentials("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
        let answer = session.authorize(&jason, get("/doe.json")).unwrap();
        assert_eq!(answer.params().get("username"), Some(name));
        assert_eq!(answer.params().get("userhash"), flag);
        // The response is that of the name in the clear, in all three cases.
        let response = "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c";
        assert_eq!(answer.params().get("response"), Some(response));
    }
}

#[test]
fn a_user_name_that_would_break_the_header_is_refused() {
    let mut session = session("Digest realm=\"a\", nonce=\"1\"", "c");
    let refused = session.authorize(&credentials("a\r\nX: y", "b"), get("sip:a"));
    assert!(matches!(refused, Err(DigestError::Value(_))));
}

#[test]
fn the_password_is_nowhere_in_answers_or_debug() {
    let mut session = session("Digest realm=\"a\", nonce=\"1\"", "c");
    let mine = credentials("anna", "pa55word");
    let answer = session.authorize(&mine, get("sip:a")).unwrap();
    let shown = format!("{answer} {answer:?} {mine:?} {session:?}");
    assert!(!shown.contains("pa55word"), "{shown}");
}

proptest! {
    #[test]
    fn credentials_reach_the_server_as_they_were_hashed(
        username in "\\PC{0,12}",
        realm in "\\PC{0,12}",
        nonce in "\\PC{0,12}",
    ) {
        let mut asked = Challenge::new("Digest").unwrap();
        asked.params_mut().set_quoted("realm", &realm).unwrap();
        asked.params_mut().set_quoted("nonce", &nonce).unwrap();
        let asked = challenge(&asked.to_string());
        let challenge = DigestChallenge::read(&asked).unwrap();
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let mut session = DigestSession::new(challenge, &mut rng);
        let answer = session
            .authorize(&credentials(&username, "b"), get("sip:a"))
            .unwrap();
        let received = AuthCredentials::parse_value(&answer.to_string()).unwrap();
        prop_assert_eq!(received.params().get("username"), Some(username.as_str()));
        prop_assert_eq!(received.params().get("realm"), Some(realm.as_str()));
        // The server hashes the raw text between the quotes.
        let text = answer.to_string();
        let raw = format!("{}:{}:b", as_quoted(&username), as_quoted(&realm));
        let needles = [
            format!("username=\"{}\"", as_quoted(&username)),
            format!("realm=\"{}\"", as_quoted(&realm)),
        ];
        for needle in needles {
            prop_assert!(text.contains(&needle), "{} in {}", needle, text);
        }
        let expected = format!(
            "{}:{}:{}",
            HashAlgorithm::Md5.hash(raw.as_bytes()),
            as_quoted(&nonce),
            HashAlgorithm::Md5.hash(b"GET:sip:a"),
        );
        let response = HashAlgorithm::Md5.hash(expected.as_bytes());
        prop_assert_eq!(received.params().get("response"), Some(response.as_str()));
    }
}
