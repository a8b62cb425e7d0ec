# A guest on aiortc; see guest_session.py.

import asyncio
import fractions
import json
import math
import sys
import time

import aioice.ice
import av
import websockets
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from guest_session import enter, say

FRAME_RATE = 15
SAMPLE_RATE = 48000
SAMPLES = SAMPLE_RATE // 50
TONE_HZ = 440

# A machine without a network has only its loopback addresses, which aioice leaves out.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Tone(AudioStreamTrack):
    """A tone at a quarter of full scale."""

    start = None
    sent = 0

    async def recv(self):
        if self.start is None:
            self.start = time.monotonic()
        due = self.start + self.sent / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        samples = (
            int(8192 * math.sin(2 * math.pi * TONE_HZ * (self.sent + at) / SAMPLE_RATE))
            for at in range(SAMPLES)
        )
        frame.planes[0].update(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
        frame.pts = self.sent
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        self.sent += SAMPLES
        return frame


class Bar(VideoStreamTrack):
    """A bright upper half and a dark lower one, with a bar that moves along the middle."""

    sent = 0

    def __init__(self, width, height):
        super().__init__()
        self.width, self.height = width, height

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        luma = frame.planes[0]
        rows = bytearray()
        for row in range(self.height):
            line = bytearray([200 if row < self.height // 2 else 40]) * luma.line_size
            if abs(row - self.height // 2) < 16:
                at = (self.sent * 8) % self.width
                line[at : at + 32] = b"\x80" * len(line[at : at + 32])
            rows += line
        luma.update(bytes(rows))
        for plane in frame.planes[1:]:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        self.sent += 1
        return frame


async def count(track, kind):
    """Tells of the first of what is received, and of every tenth after it."""
    received = 0
    while True:
        try:
            frame = await track.recv()
        except Exception:
            return
        received += 1
        if received % 10 == 1:
            size = {"width": frame.width, "height": frame.height} if kind == "video" else {}
            say("received", kind=kind, frames=received, **size)


async def main():
    settings, way = enter()
    connection = RTCPeerConnection()
    connection.addTrack(Tone())
    camera = connection.addTransceiver(Bar(settings["width"], settings["height"]), direction="sendrecv")
    slides = connection.addTransceiver("video", direction="recvonly")
    h264 = [
        codec for codec in RTCRtpSender.getCapabilities("video").codecs if codec.mimeType == "video/H264"
    ]
    for transceiver in (camera, slides):
        transceiver.setCodecPreferences(h264)
    connection.createDataChannel("roomd")
    counting = []

    @connection.on("track")
    def on_track(track):
        counting.append(asyncio.ensure_future(count(track, track.kind)))

    @connection.on("connectionstatechange")
    def on_state():
        say("connection", state=connection.connectionState)

    async with websockets.connect(**way) as signalling:
        await connection.setLocalDescription(await connection.createOffer())
        # Its candidates are in the offer.
        await signalling.send(json.dumps({"type": "offer", "sdp": connection.localDescription.sdp}))
        await signalling.send(json.dumps({"type": "candidate", "candidate": "", "mid": "0"}))
        loop = asyncio.get_running_loop()
        input_over = loop.run_in_executor(None, sys.stdin.read)

        async def listen():
            async for text in signalling:
                message = json.loads(text)
                say("signalling", type=message["type"], reason=message.get("reason"))
                if message["type"] == "answer":
                    await connection.setRemoteDescription(RTCSessionDescription(message["sdp"], "answer"))

        listening = asyncio.ensure_future(listen())
        await asyncio.wait([input_over, listening], return_when=asyncio.FIRST_COMPLETED)
        if input_over.done():
            await signalling.send(json.dumps({"type": "leave"}))
        else:
            listening.result()
        listening.cancel()
    await connection.close()


asyncio.run(main())
