// What the page reads in session descriptions, and the few things that it adds to them.

/** Where sending pictures starts, in kbit/s: enough for 720p30 from the first second on. */
export const START_BITRATE_KBPS = 1500;

/** Whether a session description, or a browser's capabilities, have H.264 as the room takes it:
 * packetization-mode 1 of the baseline or constrained baseline profile (RFC 6184). */
export function takesH264(codecs: readonly { mimeType: string; sdpFmtpLine?: string }[]): boolean {
  return codecs.some(
    ({ mimeType, sdpFmtpLine }) =>
      mimeType.toLowerCase() === "video/h264" && /packetization-mode=1/.test(sdpFmtpLine ?? ""),
  );
}

/** The codecs in the order in which they are offered: H.264 with packetization-mode 1 first, what the
 * room does not take last. RTX and the like keep their places behind them. */
export function h264First<Codec extends { mimeType: string; sdpFmtpLine?: string }>(
  codecs: readonly Codec[],
): Codec[] {
  const rank = ({ mimeType, sdpFmtpLine }: Codec): number => {
    if (mimeType.toLowerCase() !== "video/h264") return 2;
    const fmtp = sdpFmtpLine ?? "";
    return /packetization-mode=1/.test(fmtp) && /profile-level-id=42/i.test(fmtp) ? 0 : 1;
  };
  return [...codecs].sort((one, other) => rank(one) - rank(other));
}

/** The offer as the room gets it: Opus with generic NACK (RFC 4585) where the browser is one that asks for lost
 * sound, and sends it again, as soon as the answer says so.
 *
 * libwebrtc does that and does not offer it. It is known by RED for sound (RFC 2198), which no other has. The
 * browser's own description stays as it is: what was not made by the browser is not set in it. */
export function withSoundNack(sdp: string): string {
  if (!/^a=rtpmap:\d+ red\/48000/im.test(sdp)) return sdp;
  return sdp.replace(/^a=rtpmap:(\d+) opus\/48000[^\r\n]*/gim, (line: string, payloadType: string) =>
    new RegExp(`^a=rtcp-fb:${payloadType} nack\\r?$`, "im").test(sdp)
      ? line
      : `${line}\r\na=rtcp-fb:${payloadType} nack`,
  );
}

/** The answer with a start bitrate for pictures in each H.264 format.
 *
 * Chromium and Safari start at 300 kbit/s and need about 20 s to full resolution otherwise. They read
 * `x-google-start-bitrate` in what the far end answers, other browsers pass over it (RFC 8866, section
 * 6.15: unknown format parameters are ignored). An answer that already has one keeps it. */
export function withStartBitrate(sdp: string, kbps: number): string {
  const payloadTypes = new Set(
    [...sdp.matchAll(/^a=rtpmap:(\d+) H264\/90000\r?$/gim)].map((match) => match[1]),
  );
  return sdp.replace(/^(a=fmtp:(\d+) )([^\r\n]*)/gm, (line: string, _: string, payloadType: string, format: string) =>
    payloadTypes.has(payloadType) && !format.includes("x-google-start-bitrate")
      ? `${line};x-google-start-bitrate=${kbps}`
      : line,
  );
}
