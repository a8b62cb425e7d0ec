//! A room's API on its Unix socket, spoken directly: starting a client for each press would be
//! measured with it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::{Admission, Endpoint, Snapshot};
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::{self, Error, Message};

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The API of one room.
#[derive(Clone, Debug)]
pub(crate) struct RoomApi {
    socket: PathBuf,
}

impl RoomApi {
    /// The API on that socket. Nothing is sent yet.
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// The room as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.ask(Endpoint::Snapshot)
    }

    /// How many SIP messages the room has read and refused or dropped since its start, whatever was
    /// wrong with them.
    pub(crate) fn sip_messages_dropped(&self) -> Result<u64> {
        let answer = self.exchange(Endpoint::Metrics)?;
        let page = std::str::from_utf8(body_of(&answer)?)?;
        sum_of(page, "roomd_sip_messages_dropped_total")
    }

    /// Presses the join button.
    pub(crate) fn press_join(&self) -> Result<()> {
        self.request(Endpoint::Join)
    }

    /// Ends all calls.
    pub(crate) fn hang_up(&self) -> Result<()> {
        self.request(Endpoint::HangUpAll)
    }

    /// Waits until `find` finds something in the room's state, of which the room tells at each change.
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        find: impl Fn(&Snapshot) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        let url = format!("ws://localhost{}", Endpoint::Events.path());
        let (mut events, _) = tungstenite::client(url, self.connect()?)?;
        let mut last = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{what} did not come in time; the room is {last:?}");
            }
            events.get_ref().set_read_timeout(Some(left))?;
            match events.read() {
                Ok(Message::Text(text)) => {
                    let snapshot = serde_json::from_str(&text)
                        .with_context(|| format!("unexpected event: {text}"))?;
                    if let Some(found) = find(&snapshot) {
                        return Ok(found);
                    }
                    last = Some(snapshot);
                }
                Ok(_) => {}
                // The time is over: the loop says so.
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("the room's events ended"),
            }
        }
    }

    fn connect(&self) -> Result<UnixStream> {
        UnixStream::connect(&self.socket)
            .with_context(|| format!("nobody at {}", self.socket.display()))
    }

    fn request(&self, endpoint: Endpoint) -> Result<()> {
        match self.ask(endpoint)? {
            Admission::Accepted { .. } | Admission::AlreadySo => Ok(()),
            Admission::Denied { message, .. } => bail!("the room denied it: {message}"),
        }
    }

    fn ask<T: DeserializeOwned>(&self, endpoint: Endpoint) -> Result<T> {
        let answer = self.exchange(endpoint)?;
        let body = body_of(&answer)?;
        serde_json::from_slice(body)
            .with_context(|| format!("unexpected answer: {}", String::from_utf8_lossy(body)))
    }

    fn exchange(&self, endpoint: Endpoint) -> Result<Vec<u8>> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(
            stream,
            "{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            endpoint.method(),
            endpoint.path()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// The sum of a metric over its labels, in Prometheus' text format.
fn sum_of(page: &str, metric: &str) -> Result<u64> {
    let samples = page.lines().filter_map(|line| {
        let labels = line.strip_prefix(metric)?.strip_prefix('{')?;
        labels.split_once("} ").map(|(_, value)| value)
    });
    let mut sum = None;
    for value in samples {
        let value: f64 = value
            .parse()
            .with_context(|| format!("{metric} has the value `{value}`"))?;
        sum = Some(sum.unwrap_or(0) + value as u64);
    }
    sum.with_context(|| format!("the room has no metric {metric}"))
}

/// The body of an HTTP/1.1 answer that ends with its connection. roomd names its length; another
/// framing would be a change that this client has to learn.
fn body_of(answer: &[u8]) -> Result<&[u8]> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let end = answer
        .windows(HEAD_END.len())
        .position(|window| window == HEAD_END)
        .context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    ensure!(
        !head.contains("transfer-encoding"),
        "an answer in chunks is not understood"
    );
    Ok(&answer[end + HEAD_END.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_follows_the_head() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(body_of(answer).unwrap(), b"{}");
    }

    #[test]
    fn a_metric_is_summed_over_its_labels_and_one_that_there_is_not_is_an_error() {
        let page = "# TYPE dropped_total counter\ndropped_total{reason=\"malformed\"} 3\n\
                    dropped_total{reason=\"stray\"} 4\ndropped_total_bytes{reason=\"x\"} 5\n";
        assert_eq!(sum_of(page, "dropped_total").unwrap(), 7);
        assert!(sum_of(page, "kept_total").is_err());
    }

    #[test]
    fn a_cut_off_or_chunked_answer_is_an_error() {
        assert!(body_of(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(body_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0").is_err());
    }
}
