//! A pipeline with an owner: it runs in the shared time, reports its errors as messages, and is
//! taken down on a thread of its own, so that a stuck element cannot hold up the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use gst::element_factory::ElementBuilder;
use gst::prelude::*;
use room::ids::LegId;
use room::media_plan::{RungName, VideoRole};

use crate::audio_encode::AudioFormat;
use crate::clock::MediaClock;
use crate::datagram::Medium;
use crate::error::MediaError;
use crate::graph_input::{GraphInput, GraphInputs};

/// What a pipeline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PipelineRole {
    VideoEncode(VideoRole, RungName),
    AudioEncode(AudioFormat),
    VideoRecording(VideoRole),
    MicrophoneRecording,
    VideoPlayout,
    AudioPlayout,
    Leg(LegId),
}

impl PipelineRole {
    fn name(self) -> String {
        match self {
            Self::VideoEncode(role, rung) => {
                format!("{}-encode-{}", Medium::of_video(role).name(), rung.name())
            }
            Self::AudioEncode(format) => format!("audio-encode-{}", format.name()),
            Self::VideoRecording(role) => format!("{}-recording", Medium::of_video(role).name()),
            Self::MicrophoneRecording => "microphone-recording".to_owned(),
            Self::VideoPlayout => "video-playout".to_owned(),
            Self::AudioPlayout => "audio-playout".to_owned(),
            Self::Leg(leg) => format!("leg-{leg}"),
        }
    }
}

/// One pipeline that was built; never used twice, so that a late message of a pipeline that is
/// gone is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PipelineId {
    pub(crate) role: PipelineRole,
    incarnation: u64,
}

impl PipelineId {
    fn next(role: PipelineRole) -> Self {
        static INCARNATIONS: AtomicU64 = AtomicU64::new(0);
        Self {
            role,
            incarnation: INCARNATIONS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// A pipeline and everything in it.
#[derive(Debug)]
pub(crate) struct OwnedPipeline {
    id: PipelineId,
    pipeline: gst::Pipeline,
    /// Where its running time begins on the shared one.
    start: gst::ClockTime,
    inputs: GraphInputs,
    /// Hears when it is down.
    waiting: Option<SyncSender<()>>,
}

impl OwnedPipeline {
    /// An empty pipeline in the shared time.
    pub(crate) fn new(role: PipelineRole, clock: &MediaClock, inputs: &GraphInputs) -> Self {
        let pipeline = gst::Pipeline::with_name(&role.name());
        clock.govern(&pipeline);
        Self::owning(pipeline, role, gst::ClockTime::ZERO, inputs)
    }

    /// An empty pipeline in a time of its own that begins now. Mixers need it: they fill all of
    /// running time, and would begin with silence for the hours since the process began. Inlets
    /// are brought into the shared time by [`adopt_time`](Self::adopt_time).
    pub(crate) fn starting_now(
        role: PipelineRole,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Self {
        let pipeline = gst::Pipeline::with_name(&role.name());
        let start = clock.govern_from_now(&pipeline);
        Self::owning(pipeline, role, start, inputs)
    }

    fn owning(
        pipeline: gst::Pipeline,
        role: PipelineRole,
        start: gst::ClockTime,
        inputs: &GraphInputs,
    ) -> Self {
        let id = PipelineId::next(role);
        if let Some(bus) = pipeline.bus() {
            let inputs = inputs.clone();
            bus.set_sync_handler(move |_, message| {
                report(id, message, &inputs);
                gst::BusSyncReply::Drop
            });
        }
        Self {
            id,
            pipeline,
            start,
            inputs: inputs.clone(),
            waiting: None,
        }
    }

    /// Lets buffers with timestamps in the shared running time in through this inlet.
    pub(crate) fn adopt_time(&self, inlet: &gst_app::AppSrc) {
        if let Some(pad) = inlet.static_pad("src") {
            let start = i64::try_from(self.start.nseconds()).unwrap_or(i64::MAX);
            pad.set_offset(-start);
        }
    }

    /// This pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.id
    }

    /// Adds an element.
    pub(crate) fn add<E: IsA<gst::Element>>(&self, element: E) -> Result<E, MediaError> {
        self.pipeline.add(&element).map_err(|_| MediaError::Link {
            what: format!("{} in {}", element.as_ref().name(), self.pipeline.name()),
        })?;
        Ok(element)
    }

    /// Makes an element and adds it.
    pub(crate) fn make<'a>(
        &self,
        factory: &'static str,
        configure: impl FnOnce(ElementBuilder<'a>) -> ElementBuilder<'a>,
    ) -> Result<gst::Element, MediaError> {
        self.add(make_element(factory, configure)?)
    }

    /// An element is on its way out: what fails in it from now on is no failure of the pipeline, and no
    /// state change of that reaches it. To be said before it is unlinked, which its streaming thread
    /// may notice first.
    pub(crate) fn retire(&self, element: &gst::Element) {
        element.set_locked_state(true);
    }

    /// Takes an element out and stops it.
    pub(crate) fn remove(&self, element: &gst::Element) {
        self.retire(element);
        if element.set_state(gst::State::Null).is_err() || self.pipeline.remove(element).is_err() {
            tracing::warn!(element = %element.name(), "an element could not be removed");
        }
    }

    /// Starts the flow.
    pub(crate) fn play(&self) -> Result<(), MediaError> {
        match self.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(()),
            Err(_) => Err(MediaError::StateChange {
                pipeline: self.pipeline.name().to_string(),
            }),
        }
    }

    /// Lets sinks wait for the latency that elements now ask for.
    pub(crate) fn recalculate_latency(&self) {
        if self.pipeline.recalculate_latency().is_err() {
            tracing::warn!(pipeline = %self.pipeline.name(), "latency could not be distributed");
        }
    }

    /// Takes the pipeline down and waits until it is, for what follows to find its device free; not
    /// longer than `limit`.
    pub(crate) fn end_within(mut self, limit: Duration) {
        let (down, is_down) = sync_channel(1);
        self.waiting = Some(down);
        let name = self.pipeline.name();
        drop(self);
        if is_down.recv_timeout(limit).is_err() {
            tracing::warn!(pipeline = %name, ?limit, "the pipeline is not down yet");
        }
    }

    /// The GStreamer object, for what this type does not wrap.
    pub(crate) fn gst(&self) -> &gst::Pipeline {
        &self.pipeline
    }
}

impl Drop for OwnedPipeline {
    /// Stops the pipeline on its own thread; [`GraphInput::PipelineGone`] tells when it is done.
    /// `set_state` waits for streaming threads, and an element that hangs must not take the
    /// media thread with it.
    fn drop(&mut self) {
        let (id, inputs) = (self.id, self.inputs.clone());
        let waiting = self.waiting.take();
        inputs.send(GraphInput::PipelineLeaving(id));
        stop_in_background(self.pipeline.clone(), move || {
            inputs.send(GraphInput::PipelineGone(id));
            if let Some(waiting) = waiting {
                // Whoever waited may have given up.
                let _ = waiting.try_send(());
            }
        });
    }
}

/// Stops a pipeline on a thread of its own, then calls `stopped`.
pub(crate) fn stop_in_background(pipeline: gst::Pipeline, stopped: impl FnOnce() + Send + 'static) {
    let stop = move || {
        if let Some(bus) = pipeline.bus() {
            bus.unset_sync_handler();
        }
        if pipeline.set_state(gst::State::Null).is_err() {
            tracing::error!(pipeline = %pipeline.name(), "the pipeline did not stop");
        }
        drop(pipeline);
        stopped();
    };
    let thread = thread::Builder::new()
        .name("media-teardown".to_owned())
        .spawn(stop);
    if let Err(error) = thread {
        tracing::error!(%error, "a pipeline could not be taken down");
    }
}

/// Makes an element, or says that it is not installed.
pub(crate) fn make_element<'a>(
    factory: &'static str,
    configure: impl FnOnce(ElementBuilder<'a>) -> ElementBuilder<'a>,
) -> Result<gst::Element, MediaError> {
    configure(gst::ElementFactory::make(factory))
        .build()
        .map_err(|_| MediaError::MissingElement { name: factory })
}

/// Where live media enters a pipeline, with timestamps in running time: so many buffers may wait, and older ones give
/// way. What they are for is presented so much later.
pub(crate) fn live_source(name: &str, queue: u64, latency: Duration) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name(name)
        .format(gst::Format::Time)
        .is_live(true)
        .min_latency(min_latency(latency))
        .max_buffers(queue)
        .max_bytes(0)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

/// A latency as a live source's property takes it.
pub(crate) fn min_latency(latency: Duration) -> i64 {
    i64::try_from(latency.as_nanos()).unwrap_or(i64::MAX)
}

/// Links elements in a row.
pub(crate) fn link(elements: &[&gst::Element]) -> Result<(), MediaError> {
    gst::Element::link_many(elements).map_err(|_| {
        let names: Vec<_> = elements.iter().map(|e| e.name().to_string()).collect();
        MediaError::Link {
            what: names.join(" ! "),
        }
    })
}

/// Links two pads.
pub(crate) fn link_pads(source: &gst::Pad, sink: &gst::Pad) -> Result<(), MediaError> {
    source.link(sink).map(|_| ()).map_err(|_| MediaError::Link {
        what: format!("{} ! {}", source.path_string(), sink.path_string()),
    })
}

/// A pad that must be there: always, or because it was just requested.
pub(crate) fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad, MediaError> {
    element
        .static_pad(name)
        .or_else(|| element.request_pad_simple(name))
        .ok_or_else(|| MediaError::Link {
            what: format!("{}.{name}", element.name()),
        })
}

/// Counts the buffers that reach this pad.
pub(crate) fn count_buffers(pad: &gst::Pad) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    count
}

/// Whether a message is of an element that is on its way out.
fn is_retired(message: &gst::Message) -> bool {
    let element = message.src().and_then(|src| src.downcast_ref());
    element.is_some_and(gst::Element::is_locked_state)
}

/// Runs on streaming threads: only sends messages.
fn report(id: PipelineId, message: &gst::Message, inputs: &GraphInputs) {
    let element = || {
        message
            .src()
            .map_or_else(String::new, |src| src.name().to_string())
    };
    match message.view() {
        gst::MessageView::Error(_) if is_retired(message) => {}
        gst::MessageView::Error(error) => {
            let text = error.error().to_string();
            inputs.send(GraphInput::PipelineFailed {
                id,
                element: element(),
                text,
            });
        }
        gst::MessageView::Warning(warning) => {
            tracing::warn!(element = element(), warning = %warning.error(), "GStreamer warns");
        }
        gst::MessageView::Latency(_) => {
            inputs.send(GraphInput::LatencyChanged(id));
        }
        gst::MessageView::Eos(_) => {
            inputs.send(GraphInput::EndOfStream(id));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_on_its_way_out_fails_alone() {
        gst::init().unwrap();
        let (inputs, queue) = GraphInputs::new();
        let clock = MediaClock::start();
        let pipeline = OwnedPipeline::new(PipelineRole::AudioPlayout, &clock, &inputs);
        let [stays, goes] = [(); 2].map(|()| pipeline.make("identity", |b| b).unwrap());
        pipeline.retire(&goes);
        for element in [&goes, &stays] {
            gst::element_error!(element, gst::StreamError::Failed, ["not linked"]);
        }
        let Ok(GraphInput::PipelineFailed { element, .. }) = queue.try_recv() else {
            panic!("nothing is told");
        };
        assert_eq!(element, stays.name());
        assert!(queue.try_recv().is_err());
    }
}
