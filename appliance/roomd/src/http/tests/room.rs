//! A room with a driver that does nothing but answer: what the API needs of the real one.

use std::sync::Arc;
use std::time::Instant;

use room::media_plan::LegStreams;
use room::policy::{CallTarget, MediaPolicy};
use room::{
    Admission, Fact, LegId, LegSecurity, Peer, PeerTrust, Remembered, Request, Room, RoomPolicy,
    RoomSnapshot,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::call_facts::tests::video_stream;
use crate::http::room_handle::PictureFuture;
use crate::http::{PictureError, PictureOf, PictureSource, RoomHandle};
use crate::sip_ladders::{self, LadderQuestion, SipLadders};

/// What stands for a JPEG here.
pub(super) const PICTURE: &[u8] = b"a picture";
/// What stands for a JPEG of slides.
pub(super) const SLIDES: &[u8] = b"a slide";

pub(super) struct Driver {
    handle: RoomHandle,
    facts: mpsc::Sender<Fact>,
}

impl Driver {
    pub(super) fn start() -> Self {
        let mut policy = RoomPolicy::cautious(MediaPolicy::simulated());
        policy.accounts = vec!["office".into()];
        policy.join = Some(CallTarget {
            target: "sip:standup@example.com".into(),
            account: None,
        });
        let room = Room::new(policy, Remembered::default());
        let (requests, asked) = mpsc::channel(8);
        let (facts, happened) = mpsc::channel(8);
        let (snapshots, seen) = watch::channel(room.snapshot().clone());
        let (questions, ladders) = mpsc::channel(1);
        tokio::spawn(drive(room, asked, happened, snapshots));
        tokio::spawn(answer_for_sip(ladders));
        let pictures = Arc::new(Pictures);
        Self {
            handle: RoomHandle::new(requests, seen, pictures, questions, Arc::default()),
            facts,
        }
    }

    pub(super) fn handle(&self) -> RoomHandle {
        self.handle.clone()
    }

    pub(super) async fn tell(&self, fact: Fact) {
        self.facts.send(fact).await.unwrap();
    }

    /// Waits for a leg that takes slides and whose far end shows some.
    pub(super) async fn share_slides(&self) -> LegId {
        let leg = self.ring().await;
        let _ = self.handle.request(Request::Answer { leg }).await;
        let security = LegSecurity::SECURED;
        let streams = LegStreams {
            slides: Some(Box::new(video_stream(None))),
            ..LegStreams::default()
        };
        self.tell(Fact::Established {
            leg,
            streams,
            security,
        })
        .await;
        self.wait_for(|room| room.legs.iter().any(|leg| leg.slides.is_some()))
            .await;
        leg
    }

    /// Lets somebody call, and waits until the room shows it.
    pub(super) async fn ring(&self) -> LegId {
        let leg = LegId(70);
        self.tell(Fact::Incoming {
            leg,
            peer: Peer {
                uri: "sip:ann@example.com".into(),
                display_name: Some("Ann".into()),
            },
            account: "office".into(),
            security: LegSecurity::SECURED,
            trust: PeerTrust::Admitted,
            wish: room::AnswerWish::None,
            glare: None,
        })
        .await;
        self.wait_for(|snapshot| snapshot.leg(leg).is_some()).await;
        leg
    }

    pub(super) async fn wait_for(&self, condition: impl FnMut(&RoomSnapshot) -> bool) {
        self.handle.snapshots().wait_for(condition).await.unwrap();
    }
}

async fn drive(
    mut room: Room,
    mut requests: mpsc::Receiver<(Request, oneshot::Sender<Admission>)>,
    mut facts: mpsc::Receiver<Fact>,
    snapshots: watch::Sender<RoomSnapshot>,
) {
    loop {
        tokio::select! {
            Some((request, answer)) = requests.recv() => {
                let _ = answer.send(room.request(Instant::now(), request));
            }
            Some(fact) = facts.recv() => room.fact(Instant::now(), fact),
            else => return,
        }
        while room.poll_command().is_some() {}
        snapshots.send_replace(room.snapshot().clone());
    }
}

/// Leg 70 is a call that was placed and rejected, over a real endpoint.
async fn answer_for_sip(mut questions: mpsc::Receiver<LadderQuestion>) {
    let mut endpoint = sip_ladders::tests::endpoint();
    let mut ladders = SipLadders::default();
    ladders.remember(LegId(70), sip_ladders::tests::refused_call(&mut endpoint));
    while let Some(question) = questions.recv().await {
        ladders.answer(&endpoint, question);
    }
}

/// The room's own pictures are there, a far end's only for leg 70.
struct Pictures;

impl PictureSource for Pictures {
    fn picture(&self, of: PictureOf) -> PictureFuture<'_> {
        Box::pin(async move {
            match of {
                PictureOf::Sent | PictureOf::FarEnd(LegId(70)) => Ok(PICTURE.to_vec()),
                PictureOf::SentSlides | PictureOf::FarEndSlides(LegId(70)) => Ok(SLIDES.to_vec()),
                PictureOf::FarEnd(LegId(71)) => Err(PictureError::Failed("no memory".into())),
                PictureOf::FarEnd(_) | PictureOf::FarEndSlides(_) => Err(PictureError::Nothing),
            }
        })
    }
}
