// The lines for pictures, and the two sizes in which a camera is sent at once (simulcast, RFC 8853).
//
// Where the guest's network carries too little for the large picture, the browser stops it and the room goes
// on with the small one; where the room shows the guest small, it takes the small one by itself.

import { h264First } from "./session_description.js";

/** What a camera may take, in bit/s: 720p30 with good detail. */
const CAMERA_BITRATE = 2_500_000;
const SMALL_CAMERA_BITRATE = 400_000;
const SCREEN_BITRATE = 2_500_000;
/** A smaller camera is sent in one size, in pixels of its longer side. */
const LEAST_FOR_TWO_SIZES = 640;

const CAMERA: RTCRtpEncodingParameters = { maxBitrate: CAMERA_BITRATE, maxFramerate: 30 };
export const SCREEN: readonly RTCRtpEncodingParameters[] = [{ maxBitrate: SCREEN_BITRATE }];

/** How the camera is sent: in two sizes, the large one first, or in one. */
export function cameraEncodings(twoSizes: boolean): readonly RTCRtpEncodingParameters[] {
  if (!twoSizes) return [CAMERA];
  const small = { maxBitrate: SMALL_CAMERA_BITRATE, maxFramerate: 30, scaleResolutionDownBy: 2 };
  return [
    { ...CAMERA, rid: "h" },
    { ...small, rid: "l" },
  ];
}

/** Whether the browser sends H.264 in two sizes as it should: it has been tried with Chromium alone. */
export function sendsTwoSizes(): boolean {
  return "userAgentData" in navigator;
}

/** A line for pictures, which first takes what the room sends. A browser that cannot send in all of the sizes sends in
 * the first one. */
export function pictureLine(
  connection: Pick<RTCPeerConnection, "addTransceiver">,
  encodings: readonly RTCRtpEncodingParameters[],
): RTCRtpTransceiver {
  const line = withEncodings(connection, encodings);
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  if ("setCodecPreferences" in line) line.setCodecPreferences(h264First(codecs));
  return line;
}

function withEncodings(
  connection: Pick<RTCPeerConnection, "addTransceiver">,
  encodings: readonly RTCRtpEncodingParameters[],
): RTCRtpTransceiver {
  try {
    return connection.addTransceiver("video", { direction: "recvonly", sendEncodings: [...encodings] });
  } catch (error) {
    if (encodings.length < 2) throw error;
    const { rid: _, ...first } = encodings[0] ?? {};
    return connection.addTransceiver("video", { direction: "recvonly", sendEncodings: [first] });
  }
}

/** Switches the small size of a camera on where the camera is large enough for two. Whether that changed it. */
export function fitSizes(
  encodings: readonly RTCRtpEncodingParameters[],
  camera: { width?: number; height?: number },
): boolean {
  const small = encodings[1];
  if (small === undefined) return false;
  const active = Math.max(camera.width ?? 0, camera.height ?? 0) >= LEAST_FOR_TWO_SIZES;
  const changed = (small.active ?? true) !== active;
  small.active = active;
  return changed;
}
