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
  return "RTCPeerConnection" in globalThis && navigator.mediaDevices !== undefined ? null : "no_webrtc";
}

/** Whether pictures can go both ways. Where not, sound and chat do: a Firefox, say, that has not got its
 * H.264 plugin yet, or never may. */
function takesPictures(): boolean {
  const receives = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const sends = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  return takesH264(receives) && takesH264(sends);
}

const reason = lacking();
const first = opened(tokenOf(location.hash), readCallMemory() !== null);
const guest = new Guest(reason !== null || takesPictures());
guest.begin(reason === null ? first : step(first.state, { type: "unsupported", reason }));
