import assert from "node:assert/strict";
import { test } from "node:test";

import { SCREEN, cameraEncodings, fitSizes, pictureLine } from "../../picture_lines.js";

// What the page asks of the browser, in Node.
const codecs = [
  { mimeType: "video/VP8" },
  { mimeType: "video/H264", sdpFmtpLine: "packetization-mode=1;profile-level-id=42e01f" },
];
Object.assign(globalThis, { RTCRtpReceiver: { getCapabilities: () => ({ codecs }) } });

/** A connection that takes so many encodings at the most, and what was asked of it. */
function connectionThatTakes(most: number): {
  asked: RTCRtpTransceiverInit[];
  preferred: string[];
  addTransceiver: RTCPeerConnection["addTransceiver"];
} {
  const asked: RTCRtpTransceiverInit[] = [];
  const preferred: string[] = [];
  const addTransceiver = (_: MediaStreamTrack | string, init: RTCRtpTransceiverInit = {}): RTCRtpTransceiver => {
    asked.push(init);
    if ((init.sendEncodings ?? []).length > most) throw new TypeError("too many encodings");
    const setCodecPreferences = (order: { mimeType: string }[]): void => {
      preferred.push(...order.map(({ mimeType }) => mimeType));
    };
    return { setCodecPreferences } as unknown as RTCRtpTransceiver;
  };
  return { asked, preferred, addTransceiver };
}

test("a camera is offered in two sizes, the large one first, and a screen in one", () => {
  const connection = connectionThatTakes(2);
  pictureLine(connection, cameraEncodings(true));
  pictureLine(connection, SCREEN);
  const rids = connection.asked.map(({ sendEncodings }) => sendEncodings?.map(({ rid }) => rid));
  assert.deepEqual(rids, [["h", "l"], [undefined]]);
  const [high, low] = connection.asked[0]?.sendEncodings ?? [];
  assert.equal(high?.scaleResolutionDownBy, undefined);
  assert.equal(low?.scaleResolutionDownBy, 2);
  assert.ok((low?.maxBitrate ?? Infinity) < (high?.maxBitrate ?? 0) / 5);
  assert.deepEqual(connection.preferred.slice(0, 2), ["video/H264", "video/VP8"]);
});

test("a browser that cannot send two sizes sends the large one, as one that is not asked to", () => {
  const cannot = connectionThatTakes(1);
  pictureLine(cannot, cameraEncodings(true));
  const isNotAsked = connectionThatTakes(2);
  pictureLine(isNotAsked, cameraEncodings(false));
  assert.equal(cannot.asked.length, 2);
  assert.deepEqual(cannot.asked[1], isNotAsked.asked[0]);
  assert.equal(cannot.asked[1]?.sendEncodings?.[0]?.rid, undefined);
  assert.throws(() => pictureLine(connectionThatTakes(0), SCREEN), TypeError);
});

test("a camera that is small is sent in one size, and a larger one in two again", () => {
  const encodings = cameraEncodings(true);
  assert.equal(fitSizes(encodings, { width: 1280, height: 720 }), false);
  assert.equal(fitSizes(encodings, { width: 360, height: 640 }), false);
  assert.equal(fitSizes(encodings, { width: 352, height: 288 }), true);
  assert.deepEqual(encodings.map(({ active }) => active), [undefined, false]);
  assert.equal(fitSizes(encodings, {}), false);
  assert.equal(fitSizes(encodings, { width: 640, height: 360 }), true);
  assert.equal(encodings[1]?.active, true);
  assert.equal(fitSizes(cameraEncodings(false), { width: 320 }), false);
});
