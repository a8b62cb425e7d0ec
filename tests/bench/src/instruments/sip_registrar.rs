//! One endpoint that registers many accounts at a registrar which asks for a digest of each. There
//! is no network: what one sends, the other has at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sip::digest::Credentials;
use sip::endpoint::{
    Account, AccountName, Endpoint, EndpointSettings, IncomingPolicy, ListenAddresses, Output,
};
use sip::grammar::{HeaderName, Message, Request, Response, StatusCode};
use sip::registration::RegistrationState;
use sip::secret::Secret;
use sip::transport::Transport;

use super::sip_pair::address;

/// Virtual time between two registrations: an answered transaction stays for 5 s (Timer K), and of
/// those an endpoint holds a bounded number.
const SPACING: Duration = Duration::from_millis(40);

/// Registers `accounts` accounts, each challenged once (SHA-256), and gives the time it took.
///
/// # Errors
/// When one of them does not stand in the end.
pub(crate) fn register(accounts: usize, seed: u8) -> Result<Duration> {
    let names: Vec<_> = (0..accounts)
        .map(|number| AccountName::new(&format!("room-{number}")))
        .collect();
    let settings = EndpointSettings {
        accounts: names.iter().map(account).collect::<Result<_>>()?,
        instance_id: None,
        user_agent: "bench".to_owned(),
        incoming: IncomingPolicy::default(),
        listen: ListenAddresses {
            udp: vec![address(1)],
            tcp: Vec::new(),
            tls: Vec::new(),
        },
        dial_limit: Duration::from_secs(60),
    };
    let mut endpoint = Endpoint::new(settings, [seed; 32]);
    let started = Instant::now();
    let mut now = started;
    for name in &names {
        now += SPACING;
        if endpoint
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            endpoint.handle_timeout(now);
        }
        endpoint.register(now, name)?;
        while let Some(output) = endpoint.poll_output() {
            let Output::SendDatagram {
                local,
                remote,
                bytes,
            } = output
            else {
                continue;
            };
            let is_keep_alive = bytes.iter().all(u8::is_ascii_whitespace);
            if is_keep_alive {
                continue;
            }
            let answer = answer(bytes)?;
            endpoint.datagram_received(now, local, remote, answer);
        }
    }
    let took = started.elapsed();
    for name in &names {
        let state = endpoint.registration(name);
        ensure!(
            state == RegistrationState::Registered,
            "{name} is {state:?}"
        );
    }
    Ok(took)
}

fn account(name: &AccountName) -> Result<Account> {
    Ok(Account {
        transport: Transport::Udp,
        registrar: Some(format!("sip:{}", address(2)).parse()?),
        credentials: Some(Credentials {
            username: name.to_string(),
            password: Secret::new(name.to_string()),
        }),
        ..Account::new(name.clone(), format!("sip:{name}@example.test").parse()?)
    })
}

/// The registrar: it believes any digest.
fn answer(datagram: Bytes) -> Result<Bytes> {
    let Message::Request(request) = Message::parse_datagram(datagram)? else {
        anyhow::bail!("the endpoint answers its registrar");
    };
    let mut response = if request.headers.contains(&HeaderName::Authorization) {
        grant(&request)?
    } else {
        let mut response = Response::to(&request, StatusCode::UNAUTHORIZED);
        let challenge = "Digest realm=\"example.test\", nonce=\"f84f1cec41e6cbe5aea9c8e88d359\", \
             qop=\"auth\", algorithm=SHA-256";
        response
            .headers
            .push(HeaderName::WwwAuthenticate, challenge)?;
        response
    };
    response.headers.add_to_tag("registrar")?;
    Ok(response.to_bytes())
}

fn grant(request: &Request) -> Result<Response> {
    let contact = request
        .headers
        .text(&HeaderName::Contact)
        .context("a REGISTER without Contact")?;
    let mut response = Response::to(request, StatusCode::OK);
    let contact = format!("{contact};expires=600");
    response.headers.push(HeaderName::Contact, &contact)?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_accounts_stand_in_the_end() {
        register(1_000, 1).unwrap();
    }
}
