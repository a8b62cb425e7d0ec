// The beginning: what the browser can, what the address says, and from there on the guest.

import { Guest } from "./guest.js";
import { opened, step } from "./page_state.js";
import type { RefusalReason } from "./page_state.js";
import { readCallMemory } from "./preferences.js";
import { takesH264 } from "./session_description.js";
import { tokenOf } from "./invitation_link.js";

/** What this browser lacks for a call; null where it lacks nothing. */
function lacking(): RefusalReason | null {
  if (!isSecureContext) return "insecure_context";
  if (!("RTCPeerConnection" in globalThis) || navigator.mediaDevices === undefined) return "no_webrtc";
  const receives = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const sends = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  return takesH264(receives) && takesH264(sends) ? null : "no_h264";
}

const reason = lacking();
const first = opened(tokenOf(location.hash), readCallMemory() !== null);
const guest = new Guest();
guest.begin(reason === null ? first : step(first.state, { type: "unsupported", reason }));
