//! A caller that does nothing but measure: it places calls over UDP and takes the time of what it
//! sends and receives.
//!
//! ```text
//!   INVITE ──► 100, 180 ... ──► 200 OK ──► ACK, BYE ──► 200 OK
//!   └──────── measured ────────┘
//! ```
//!
//! It offers what roomd offers (Opus and H.264 with SDES keys) on ports that it holds, so that the
//! callee goes through all of its work, but sends no media. It never sends a request twice: on
//! loopback a lost one is an error.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use room::codec::AudioCodec;
use sip::grammar::{HeaderName, Message, Response, StatusCode};
use sip::offer_answer::{
    BfcpTransport, Capabilities, ContentSharing, H264Capabilities, IceUse, LocalMedia, LocalPort,
    MediaKeys, MediaSecurity, Session,
};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Larger than any answer.
const DATAGRAM: usize = 1 << 16;

/// A caller with its sockets.
#[derive(Debug)]
pub(crate) struct SipCaller {
    socket: UdpSocket,
    local: SocketAddr,
    /// RTP and RTCP of sound and picture. What comes in is left to the socket's queue.
    media: [UdpSocket; 4],
    random: ChaCha20Rng,
}

/// What the requests of one call share.
struct Call<'a> {
    target: &'a str,
    id: u64,
}

impl SipCaller {
    /// A caller on loopback.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let socket = bind()?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            media: [bind()?, bind()?, bind()?, bind()?],
            random: ChaCha20Rng::seed_from_u64(seed),
        })
    }

    /// Calls `target` at `address`, hangs up once it has answered, and gives the time from INVITE
    /// to 200 OK.
    pub(crate) fn call(&mut self, address: SocketAddr, target: &str) -> Result<Duration> {
        let call = Call {
            target,
            id: self.random.next_u64(),
        };
        let invite = self.request(&call, "INVITE", 1, None, &self.offer(call.id)?)?;
        let started = Instant::now();
        self.socket.send_to(invite.as_bytes(), address)?;
        let answer = self.final_response(&call, "INVITE")?;
        let took = started.elapsed();
        let status = answer.status();
        ensure!(
            status == StatusCode::OK,
            "the call was refused: {} {}",
            status.code(),
            answer.reason()
        );
        let to = answer
            .headers
            .text(&HeaderName::To)
            .context("the answer has no To")?;
        for (method, number) in [("ACK", 1), ("BYE", 2)] {
            let request = self.request(&call, method, number, Some(&to), b"")?;
            self.socket.send_to(request.as_bytes(), address)?;
        }
        self.final_response(&call, "BYE")?;
        Ok(took)
    }

    fn offer(&self, seed: u64) -> Result<Bytes> {
        let port = |socket: &UdpSocket| Ok::<u16, std::io::Error>(socket.local_addr()?.port());
        let [audio_rtp, audio_rtcp, video_rtp, video_rtcp] = &self.media;
        let local = LocalMedia {
            address: self.local.ip(),
            audio: Some(LocalPort {
                rtp: port(audio_rtp)?,
                rtcp: port(audio_rtcp)?,
            }),
            video: Some(LocalPort {
                rtp: port(video_rtp)?,
                rtcp: port(video_rtcp)?,
            }),
            content: None,
        };
        let mut keys = ChaCha20Rng::seed_from_u64(seed);
        Ok(Session::offer(&capabilities(), &local, &mut keys).1)
    }

    fn request(
        &self,
        call: &Call<'_>,
        method: &str,
        number: u32,
        to: Option<&str>,
        body: &[u8],
    ) -> Result<String> {
        let (local, id) = (self.local, call.id);
        let plain_to = format!("<{}>", call.target);
        let mut request = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{id:x}{method};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:bench@{local}>;tag={id:x}\r\n\
             To: {to}\r\n\
             Call-ID: {id:x}@{local}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:bench@{local}>\r\n",
            target = call.target,
            to = to.unwrap_or(&plain_to),
        );
        if !body.is_empty() {
            request.push_str("Content-Type: application/sdp\r\n");
        }
        let body = std::str::from_utf8(body)?;
        write!(request, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        Ok(request)
    }

    /// The final response to the call's request of that method.
    fn final_response(&self, call: &Call<'_>, method: &str) -> Result<Response> {
        let mut buffer = vec![0; DATAGRAM];
        let deadline = Instant::now() + ANSWER_LIMIT;
        while Instant::now() < deadline {
            let length = self
                .socket
                .recv(&mut buffer)
                .with_context(|| format!("no answer to {method}"))?;
            let datagram = Bytes::copy_from_slice(&buffer[..length]);
            let Ok(Message::Response(response)) = Message::parse_datagram(datagram) else {
                continue;
            };
            if answers(&response, call, method) && response.status().is_final() {
                return Ok(response);
            }
        }
        bail!("no final answer to {method}")
    }
}

/// Whether a response is to the call's request of that method, and no late one of another call.
fn answers(response: &Response, call: &Call<'_>, method: &str) -> bool {
    let text = |name: &HeaderName| response.headers.text(name).unwrap_or_default();
    text(&HeaderName::CallId).starts_with(&format!("{:x}@", call.id))
        && text(&HeaderName::CSeq).ends_with(method)
}

/// What roomd offers: see its settings.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        audio: vec![
            AudioCodec::Opus,
            AudioCodec::G722,
            AudioCodec::Pcmu,
            AudioCodec::Pcma,
        ],
        video: H264Capabilities::default(),
        security: MediaSecurity::SrtpRequired,
        media_keys: MediaKeys::default(),
        certificate: None,
        ice: IceUse::default(),
        content: ContentSharing::Off,
        floor_transport: BfcpTransport::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use sip::grammar::Request;

    use super::*;

    /// Answers `statuses` to each request, one after the other, and gives the requests.
    fn callee(
        statuses: &'static [StatusCode],
        requests: usize,
    ) -> (SocketAddr, thread::JoinHandle<Vec<Request>>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let serve = move || {
            let mut buffer = vec![0; DATAGRAM];
            let mut seen = Vec::new();
            while seen.len() < requests {
                let (length, peer) = socket.recv_from(&mut buffer).unwrap();
                let datagram = Bytes::copy_from_slice(&buffer[..length]);
                let Message::Request(request) = Message::parse_datagram(datagram).unwrap() else {
                    panic!("a response")
                };
                for status in statuses {
                    let response = Response::to(&request, *status).to_bytes();
                    socket.send_to(&response, peer).unwrap();
                }
                seen.push(request);
            }
            seen
        };
        (address, thread::spawn(serve))
    }

    #[test]
    fn a_call_is_invited_acknowledged_and_ended() {
        let (address, callee) = callee(&[StatusCode::TRYING, StatusCode::OK], 3);
        let took = SipCaller::new(1)
            .unwrap()
            .call(address, &format!("sip:room@{address}"))
            .unwrap();
        assert!(took > Duration::ZERO);
        let methods: Vec<String> = callee
            .join()
            .unwrap()
            .iter()
            .map(|request| request.method().to_string())
            .collect();
        assert_eq!(methods, ["INVITE", "ACK", "BYE"]);
    }

    #[test]
    fn a_refused_call_is_an_error_that_names_the_status() {
        let (address, callee) = callee(&[StatusCode::BUSY_HERE], 1);
        let error = SipCaller::new(1)
            .unwrap()
            .call(address, &format!("sip:room@{address}"))
            .unwrap_err();
        assert!(error.to_string().contains("486"), "{error}");
        callee.join().unwrap();
    }
}
