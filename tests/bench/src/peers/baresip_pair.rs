//! Two baresips on this machine, one calling the other: the anchor of whole calls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use system::authority::Authority;
use system::baresip::{Baresip, BaresipConfig, SoundRecording, Transport, Video};
use system::journal::Mark;
use system::sound::Sound;
use tempfile::TempDir;

const CALL_LIMIT: Duration = Duration::from_secs(20);
/// baresip says this when it has decoded the first picture of a call.
const FIRST_PICTURE: &str = "receiving with resolution 1280 x 720";
/// Longer than a call in which only its beginning is measured.
pub(crate) const SHORT_CALL: Duration = Duration::from_secs(10);
const FRAME_RATE: u32 = 30;

/// Both baresips.
#[derive(Debug)]
pub(crate) struct BaresipPair {
    pub(crate) caller: Baresip,
    pub(crate) callee: Baresip,
    // Dropped last: certificates are read anew for each connection.
    _folder: TempDir,
}

impl BaresipPair {
    /// Starts both; they send that picture and that speech over SRTP, at 720p and 30 pictures a
    /// second, for calls of that length at most.
    pub(crate) fn start(
        transport: Transport,
        video: &Video,
        speech: &Sound,
        longest_call: Duration,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = match transport {
            Transport::Tls => Some(Authority::new(folder.path())?),
            Transport::Udp | Transport::Tcp => None,
        };
        let start = |name: &str| {
            let mut config = BaresipConfig::new(name, speech.clone(), video.clone());
            config.transport = transport;
            config.sound_recording = SoundRecording::Off;
            config.longest_call_seconds = longest_call.as_secs_f32();
            config.video_format.frame_rate = FRAME_RATE;
            Baresip::start(&config, authority.as_ref())
        };
        Ok(Self {
            caller: start("caller")?,
            callee: start("callee")?,
            _folder: folder,
        })
    }

    /// Calls, waits until both see each other, and gives the time from the command to the callee's
    /// first decoded picture.
    pub(crate) fn call(&mut self) -> Result<Duration> {
        let marks = [self.caller.log().mark(), self.callee.log().mark()];
        let started = Instant::now();
        self.caller.dial(self.callee.uri())?;
        wait_for_first_picture(&self.callee, marks[1])?;
        let took = started.elapsed();
        wait_for_first_picture(&self.caller, marks[0])?;
        Ok(took)
    }

    /// Hangs up and waits until both have closed the call.
    pub(crate) fn hang_up(&mut self) -> Result<()> {
        let marks = [self.caller.events().mark(), self.callee.events().mark()];
        self.caller.hang_up()?;
        self.callee
            .wait_for_event(marks[1], "CALL_CLOSED", CALL_LIMIT)?;
        // baresip reports the close of a call that it ends itself before it is over; nothing
        // further is waited for there.
        drop(
            self.caller
                .wait_for_event(marks[0], "CALL_CLOSED", Duration::ZERO),
        );
        Ok(())
    }

    /// The process ids of both.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.caller.id(), self.callee.id()]
    }

    /// How many pictures the callee has shown in this call.
    pub(crate) fn pictures_shown(&mut self) -> Result<u64> {
        // Not shown in the error: it holds the call's keys.
        let status = self.callee.video_status()?;
        pictures_shown(&status).context("baresip tells no count of pictures")
    }

    /// Where the callee takes SIP over UDP.
    pub(crate) fn callee_address(&self) -> Result<SocketAddr> {
        let address = self
            .callee
            .uri()
            .rsplit_once('@')
            .and_then(|(_, rest)| rest.split(';').next());
        Ok(address.context("a URI without a host")?.parse()?)
    }
}

fn wait_for_first_picture(baresip: &Baresip, mark: Mark) -> Result<()> {
    let find = |line: &String| line.contains(FIRST_PICTURE).then_some(());
    baresip
        .log()
        .wait_after(mark, "the first picture", CALL_LIMIT, find)
}

/// Reads the `frames=` of the display in what baresip tells about a call's video.
fn pictures_shown(status: &str) -> Option<u64> {
    let (_, display) = status.split_once("vidisp:")?;
    let (_, count) = display.split_once("frames=")?;
    let digits = count
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(count.len());
    count[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::pictures_shown;

    #[test]
    fn the_count_of_the_display_is_read() {
        let status = "source: avformat, fps=25 frames=10\n vidisp: fakevideo frames=42\n rest";
        assert_eq!(pictures_shown(status), Some(42));
        assert_eq!(pictures_shown("source: avformat frames=10"), None);
    }
}
