//! Carries a command out.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use api::guests::{Admit, FreshInvitation, Invitations};
use api::reachability::{Reachability, Verdict};
use api::snapshot::{HeldBy, Leg, LegState, MicrophoneState};
use api::{Admission, Endpoint, Language, SipLadder, Snapshot, request};
use serde::Serialize;
use serde_json::{Value, json};

use crate::change_lines::change_lines;
use crate::client::{Client, bad_answer};
use crate::command_line::{
    AdmitName, Arguments, Command, GuestsCommand, LayoutName, OnOff, PictureName,
};
use crate::error::Error;
use crate::manual::write_manual;
use crate::show::guests as show_guests;
use crate::show::reachability as show_reachability;
use crate::show::{self, Clock};
use crate::sip_ladder::text::Detail;
use crate::sip_ladder::{Drawing, newest_leg, svg, text};
use crate::terminal::{Style, columns_of_stdout};

/// Carries the command out and prints what comes of it.
///
/// # Errors
/// An [`Error`], whose exit status says what kind of failure it is.
pub fn run(arguments: &Arguments, language: Language) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(bad_answer)?;
    let session = Session {
        client: Client::new(arguments.common.socket.clone(), language),
        language,
        json: arguments.common.json,
        style: Style::of_stdout(),
    };
    runtime.block_on(session.carry_out(&arguments.command))
}

/// One command's surroundings.
struct Session {
    client: Client,
    language: Language,
    json: bool,
    style: Style,
}

impl Session {
    async fn carry_out(&self, command: &Command) -> Result<(), Error> {
        match command {
            Command::Status => self.status().await,
            Command::Stats { leg } => self.stats(*leg).await,
            Command::Watch => self.watch().await,
            Command::Picture {
                file,
                of,
                slides,
                leg,
            } => {
                let endpoint = match (of, slides) {
                    (PictureName::Sent, false) => Endpoint::SentPicture,
                    (PictureName::Sent, true) => Endpoint::SentSlidesPicture,
                    (PictureName::FarEnd, false) => Endpoint::FarEndPicture,
                    (PictureName::FarEnd, true) => Endpoint::FarEndSlidesPicture,
                };
                let path = match (of, leg) {
                    (PictureName::FarEnd, Some(leg)) => format!("{}?leg={leg}", endpoint.path()),
                    (PictureName::FarEnd, None) | (PictureName::Sent, _) => {
                        endpoint.path().to_owned()
                    }
                };
                let picture = self.client.get(&path).await?;
                let failed = |source| Error::Write {
                    file: file.clone(),
                    source,
                };
                fs::write(file, &picture).map_err(failed)
            }
            Command::SipLadder {
                leg,
                refused,
                full,
                svg,
            } => {
                let detail = if *full {
                    Detail::Messages
                } else {
                    Detail::Drawing
                };
                self.sip_ladder(*leg, *refused, detail, svg.as_deref())
                    .await
            }
            Command::Guests { command } => self.guests(command).await,
            Command::OpenApi => print_bytes(&self.client.get(Endpoint::OpenApi.path()).await?),
            Command::Call { target, account } => {
                let mut body = json!({ "target": target });
                if let Some(account) = account {
                    body["account"] = json!(account);
                }
                self.ask(Endpoint::Call, None, Some(body)).await
            }
            Command::Join => self.ask(Endpoint::Join, None, None).await,
            Command::Answer { leg } => {
                self.ask_leg(Endpoint::Answer, Fits::Ringing, *leg, None)
                    .await
            }
            Command::Decline { leg } => {
                self.ask_leg(Endpoint::Decline, Fits::Ringing, *leg, None)
                    .await
            }
            Command::Hold { leg } => {
                self.ask_leg(Endpoint::Hold, Fits::Connected, *leg, None)
                    .await
            }
            Command::Resume { leg } => {
                self.ask_leg(Endpoint::Resume, Fits::HeldHere, *leg, None)
                    .await
            }
            Command::Dtmf { digits, leg } => {
                self.ask_leg(
                    Endpoint::Dtmf,
                    Fits::Connected,
                    *leg,
                    Some(json!({ "digits": digits })),
                )
                .await
            }
            Command::Register { account } => {
                let body = json!({ "account": account });
                self.ask(Endpoint::Register, None, Some(body)).await
            }
            Command::HangUp { leg: None } => self.ask(Endpoint::HangUpAll, None, None).await,
            Command::HangUp { leg } => self.ask(Endpoint::HangUp, *leg, None).await,
            Command::Mute { state } => {
                let state = match state {
                    OnOff::On => MicrophoneState::Muted,
                    OnOff::Off => MicrophoneState::Open,
                };
                self.ask(
                    Endpoint::Microphone,
                    None,
                    Some(json!({ "state": word(state) })),
                )
                .await
            }
            Command::Camera { state } => self.switch(Endpoint::Camera, *state).await,
            Command::Slides { state } => self.switch(Endpoint::Slides, *state).await,
            Command::Volume { percent } => {
                self.ask(Endpoint::Volume, None, Some(json!({ "percent": percent })))
                    .await
            }
            Command::Layout { layout } => {
                let layout = match layout {
                    LayoutName::Single => api::snapshot::Layout::Single,
                    LayoutName::Grid => api::snapshot::Layout::Grid,
                    LayoutName::PictureInPicture => api::snapshot::Layout::PictureInPicture,
                };
                self.ask(
                    Endpoint::Layout,
                    None,
                    Some(json!({ "layout": word(layout) })),
                )
                .await
            }
            Command::Completion { shell } => {
                let mut command = crate::command_line::command(self.language);
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, "roomctl", &mut script);
                print_bytes(&script)
            }
            Command::Man { directory } => write_manual(directory),
        }
    }

    /// Asks for what is on or off on the wire too.
    async fn switch(&self, endpoint: Endpoint, state: OnOff) -> Result<(), Error> {
        let state = match state {
            OnOff::On => "on",
            OnOff::Off => "off",
        };
        let body = json!({ "state": state });
        self.ask(endpoint, None, Some(body)).await
    }

    async fn status(&self) -> Result<(), Error> {
        let snapshot = self.client.snapshot().await?;
        if self.json {
            return print_json(&snapshot);
        }
        print(&show::status(
            &snapshot,
            self.language,
            self.style,
            Clock::now(),
        ))
    }

    async fn stats(&self, leg: Option<u32>) -> Result<(), Error> {
        let mut snapshot = self.client.snapshot().await?;
        if let Some(id) = leg {
            snapshot.legs.retain(|leg| leg.id == id);
            if snapshot.legs.is_empty() {
                return Err(Error::NoLeg);
            }
        }
        if self.json {
            return print_json(&snapshot.legs);
        }
        print(&show::stats(&snapshot.legs, self.language, self.style))
    }

    async fn guests(&self, command: &GuestsCommand) -> Result<(), Error> {
        match command {
            GuestsCommand::Invite {
                label,
                lifetime,
                admit,
            } => {
                let wanted = request::Invite {
                    label: label.clone(),
                    admit: admit.map(|admit| match admit {
                        AdmitName::Ask => Admit::Ask,
                        AdmitName::Automatically => Admit::Automatically,
                    }),
                    lifetime_minutes: *lifetime,
                };
                let fresh: FreshInvitation = self.client.post(Endpoint::Invite, &wanted).await?;
                if self.json {
                    return print_json(&fresh);
                }
                print(&show_guests::link(&fresh, self.language, Clock::now()))
            }
            GuestsCommand::List => {
                let body = self.client.get(Endpoint::Invitations.path()).await?;
                let list: Invitations = serde_json::from_slice(&body).map_err(bad_answer)?;
                if self.json {
                    return print_json(&list);
                }
                print(&show_guests::list(
                    &list,
                    self.language,
                    self.style,
                    Clock::now(),
                ))
            }
            GuestsCommand::Test => {
                let found: Reachability = self.client.post(Endpoint::TestGuests, &()).await?;
                if self.json {
                    print_json(&found)?;
                } else {
                    print(&show_reachability::findings(
                        &found,
                        self.language,
                        self.style,
                    ))?;
                }
                let mut findings = found.findings.iter();
                if findings.any(|finding| finding.verdict == Verdict::Problem) {
                    return Err(Error::ProblemFound);
                }
                Ok(())
            }
            GuestsCommand::Revoke { invitation } => {
                let path = Endpoint::RevokeInvitation.path_for_invitation(*invitation);
                let admission = self.client.delete(&path).await?;
                self.show_admission(admission)
            }
            GuestsCommand::RenewCertificate => {
                self.ask(Endpoint::RenewCertificate, None, None).await
            }
        }
    }

    async fn sip_ladder(
        &self,
        leg: Option<u32>,
        refused: bool,
        detail: Detail,
        svg: Option<&Path>,
    ) -> Result<(), Error> {
        let snapshot = self.client.snapshot().await?;
        let path = if refused {
            Endpoint::RefusedSipLadder.path().to_owned()
        } else {
            let leg = leg.or_else(|| newest_leg(&snapshot)).ok_or(Error::NoLeg)?;
            Endpoint::SipLadder.path_for_leg(leg)
        };
        let body = self.client.get(&path).await?;
        let ladder: SipLadder = serde_json::from_slice(&body).map_err(bad_answer)?;
        let drawing = Drawing::new(&ladder, Some(&snapshot), self.language);
        if let Some(file) = svg {
            fs::write(file, svg::draw(&drawing)).map_err(|source| Error::Write {
                file: file.to_owned(),
                source,
            })?;
        }
        if self.json {
            return print_json(&ladder);
        }
        if svg.is_some() {
            return Ok(());
        }
        print(&text::draw(
            &drawing,
            columns_of_stdout(),
            self.style,
            detail,
        ))
    }

    /// On a terminal the status is drawn anew at each change; elsewhere each change is a line.
    async fn watch(&self) -> Result<(), Error> {
        let mut events = self.client.events().await?;
        let mut last: Option<Snapshot> = None;
        while let Some(text) = events.next().await? {
            if self.json {
                print(&format!("{text}\n"))?;
                continue;
            }
            let snapshot: Snapshot = serde_json::from_str(&text).map_err(bad_answer)?;
            match self.style {
                Style::Colour => print(&self.redrawn(&snapshot))?,
                Style::Plain => {
                    for line in change_lines(last.as_ref(), &snapshot, self.language) {
                        print(&format!("{line}\n"))?;
                    }
                }
            }
            last = Some(snapshot);
        }
        Ok(())
    }

    fn redrawn(&self, snapshot: &Snapshot) -> String {
        let mut screen = show::status(snapshot, self.language, self.style, Clock::now());
        if !snapshot.legs.is_empty() {
            screen.push('\n');
            screen.push_str(&show::stats(&snapshot.legs, self.language, self.style));
        }
        Style::screen(&screen)
    }

    /// Asks something of the one leg that fits, unless the caller names it.
    async fn ask_leg(
        &self,
        endpoint: Endpoint,
        fits: Fits,
        leg: Option<u32>,
        body: Option<Value>,
    ) -> Result<(), Error> {
        let leg = match leg {
            Some(leg) => leg,
            None => the_only_leg(&self.client.snapshot().await?, fits)?,
        };
        self.ask(endpoint, Some(leg), body).await
    }

    async fn ask(
        &self,
        endpoint: Endpoint,
        leg: Option<u32>,
        body: Option<Value>,
    ) -> Result<(), Error> {
        let admission = self.client.ask(endpoint, leg, body).await?;
        self.show_admission(admission)
    }

    fn show_admission(&self, admission: Admission) -> Result<(), Error> {
        if self.json {
            print_json(&admission)?;
        } else if let Some(words) = admitted(&admission, self.language) {
            print(&format!("{words}\n"))?;
        }
        match admission {
            Admission::Accepted { .. } | Admission::AlreadySo => Ok(()),
            denied @ Admission::Denied { .. } => Err(Error::Denied(denied)),
        }
    }
}

fn admitted(admission: &Admission, language: Language) -> Option<String> {
    match (admission, language) {
        (Admission::Accepted { leg: Some(leg) }, Language::English) => Some(format!("leg {leg}")),
        (Admission::Accepted { leg: Some(leg) }, Language::Chinese) => Some(format!("通话 {leg}")),
        (Admission::AlreadySo, Language::English) => Some("already so".into()),
        (Admission::AlreadySo, Language::Chinese) => Some("原本如此".into()),
        (Admission::Accepted { leg: None } | Admission::Denied { .. }, _) => None,
    }
}

/// Which legs a command may be about.
#[derive(Clone, Copy, Debug)]
enum Fits {
    Ringing,
    HeldHere,
    Connected,
}

impl Fits {
    fn take(self, state: LegState) -> bool {
        match self {
            Self::Ringing => state == LegState::Incoming,
            Self::HeldHere => {
                matches!(
                    state,
                    LegState::Held {
                        by: HeldBy::Local | HeldBy::Both
                    }
                )
            }
            Self::Connected => matches!(state, LegState::Established | LegState::Held { .. }),
        }
    }
}

/// The leg that a command is about when none is named.
fn the_only_leg(snapshot: &Snapshot, fits: Fits) -> Result<u32, Error> {
    let fits = |leg: &&Leg| fits.take(leg.state);
    let candidates: Vec<_> = snapshot
        .legs
        .iter()
        .filter(fits)
        .map(|leg| leg.id)
        .collect();
    match candidates.as_slice() {
        [] => Err(Error::NoLeg),
        [leg] => Ok(*leg),
        _ => Err(Error::WhichLeg { candidates }),
    }
}

/// The wire's word for an enum without data.
fn word(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("an enum without data is a string")
}

fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(bad_answer)?;
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Result<(), Error> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    written.map_err(|source| match source.kind() {
        io::ErrorKind::BrokenPipe => Error::OutputClosed,
        _ => Error::Write {
            file: "/dev/stdout".into(),
            source,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::samples::{leg, snapshot};

    #[test]
    fn the_only_ringing_leg_is_the_one_to_answer() {
        let room = snapshot(vec![
            leg(3, LegState::Established),
            leg(5, LegState::Incoming),
        ]);
        assert_eq!(the_only_leg(&room, Fits::Ringing).unwrap(), 5);
        assert_eq!(the_only_leg(&room, Fits::Connected).unwrap(), 3);
        assert!(matches!(
            the_only_leg(&room, Fits::HeldHere),
            Err(Error::NoLeg)
        ));
    }

    #[test]
    fn two_legs_that_fit_must_be_told_apart() {
        let room = snapshot(vec![leg(3, LegState::Incoming), leg(5, LegState::Incoming)]);
        let error = the_only_leg(&room, Fits::Ringing).unwrap_err();
        assert_eq!(error.exit_status(), crate::ExitStatus::Usage);
        assert!(error.to_string().contains("3, 5"));
    }

    #[test]
    fn what_the_far_end_holds_cannot_be_resumed_here() {
        let held = |by| snapshot(vec![leg(1, LegState::Held { by })]);
        assert!(the_only_leg(&held(HeldBy::Remote), Fits::HeldHere).is_err());
        assert!(the_only_leg(&held(HeldBy::Both), Fits::HeldHere).is_ok());
    }
}
