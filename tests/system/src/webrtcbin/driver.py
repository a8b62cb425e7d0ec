# A guest on GStreamer's webrtcbin and so on libnice; see guest_session.py. Its settings have "pem" for DTLS, too.

import hashlib
import json
import re
import ssl
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from guest_session import enter, lock, say

PIPELINE = """
webrtcbin name=guest bundle-policy=max-bundle latency=50
audiotestsrc is-live=true wave=sine freq=440 volume=0.25 ! audioconvert ! audioresample
  ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=97
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000 ! guest.
videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate=15/1 ! videoconvert
  ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=500
  ! video/x-h264,profile=constrained-baseline ! rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency
  ! application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000 ! guest.
"""

def fingerprint(pem):
    """The hash of the certificate (RFC 8122)."""
    certificate = pem[: pem.index("-----BEGIN", 1)]
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def promised(element, signal, *arguments):
    """Emits a signal and waits for what it promises. That lives as long as the promise and its reply are held."""
    promise = Gst.Promise.new()
    element.emit(signal, *arguments, promise)
    promise.wait()
    return promise


def count(pipeline, pad):
    """Decodes what comes by a pad, and tells of the first and of every tenth of it."""
    kind = pad.get_current_caps().get_structure(0).get_string("media")
    depayload = "rtph264depay ! avdec_h264" if kind == "video" else "rtpopusdepay ! opusdec"
    sink = Gst.parse_bin_from_description(f"{depayload} ! fakesink name=sink signal-handoffs=true", True)
    received = 0

    def took(_sink, _buffer, pad):
        nonlocal received
        received += 1
        if received % 10 == 1:
            structure = pad.get_current_caps().get_structure(0)
            size = {key: structure.get_int(key)[1] for key in ("width", "height")} if kind == "video" else {}
            say("received", kind=kind, frames=received, **size)

    sink.get_by_name("sink").connect("handoff", took)
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad("sink"))


def main():
    settings, way = enter()

    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE.format(**settings))

    def added(_pipeline, _bin, element):
        factory = element.get_factory()
        if factory and factory.get_name() == "dtlssrtpdec":
            element.set_property("pem", settings["pem"])

    pipeline.connect("deep-element-added", added)
    guest = pipeline.get_by_name("guest")
    offers = threading.Event()
    guest.connect("on-negotiation-needed", lambda _guest: offers.set())
    guest.connect("pad-added", lambda _guest, pad: pad.direction == Gst.PadDirection.SRC and count(pipeline, pad))
    guest.connect(
        "notify::ice-connection-state",
        lambda guest, _: say("connection", state=guest.get_property("ice-connection-state").value_nick),
    )

    with connect(**way) as signalling:
        pipeline.set_state(Gst.State.PLAYING)
        assert offers.wait(20), "the pipeline has something to offer"
        # Candidates come once the description is set, and after the offer.
        lines = []
        is_offered = threading.Event()

        def candidate(_guest, index, line):
            say("candidate", line=line)
            message = json.dumps({"type": "candidate", "candidate": line, "mid": str(index)})
            with lock:
                if not is_offered.is_set():
                    lines.append(message)
                    return
            signalling.send(message)

        guest.connect("on-ice-candidate", candidate)
        promise = promised(guest, "create-offer", None)
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        # It was made before the certificate was another one.
        sdp = re.sub(r"(a=fingerprint:sha-256 )[0-9A-F:]+", r"\g<1>" + fingerprint(settings["pem"]), offer.sdp.as_text())
        promised(guest, "set-local-description", offer)
        signalling.send(json.dumps({"type": "offer", "sdp": sdp}))
        with lock:
            is_offered.set()
        for message in lines:
            signalling.send(message)

        def listen():
            try:
                for text in signalling:
                    message = json.loads(text)
                    say("signalling", type=message["type"], reason=message.get("reason"))
                    if message["type"] == "answer":
                        _, sdp = GstSdp.SDPMessage.new_from_text(message["sdp"])
                        kind = GstWebRTC.WebRTCSDPType.ANSWER
                        answer = GstWebRTC.WebRTCSessionDescription.new(kind, sdp)
                        promised(guest, "set-remote-description", answer)
                        for line in message["sdp"].splitlines():
                            if line.startswith("a=candidate:"):
                                say("room candidate", line=line)
                                guest.emit("add-ice-candidate", 0, line.removeprefix("a="))
            except ConnectionClosed:
                pass

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        sys.stdin.read()
        signalling.send(json.dumps({"type": "leave"}))
    pipeline.set_state(Gst.State.NULL)


main()
