// What the page remembers: in this browser the guest's name, devices and language; in this tab
// whether it was in a call, and what was switched off there, so that a reload changes nothing.

export interface Preferences {
  guest_name: string;
  camera: string | null;
  microphone: string | null;
  speaker: string | null;
  language: string | null;
}

/** What a reload keeps of the call in this tab. */
export interface CallMemory {
  microphone_muted: boolean;
  camera_off: boolean;
}

const PREFERENCES = "roomd.preferences";
const CALL = "roomd.call";

/** A store may be missing or full (private windows): then nothing is remembered. */
function read(storage: () => Storage, key: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(storage().getItem(key) ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function write(storage: () => Storage, key: string, value: object | null): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
  } catch {
    // Nothing is remembered.
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function readPreferences(): Preferences {
  const stored = read(() => localStorage, PREFERENCES);
  return {
    guest_name: text(stored.guest_name) ?? "",
    camera: text(stored.camera),
    microphone: text(stored.microphone),
    speaker: text(stored.speaker),
    language: text(stored.language),
  };
}

export function remember(changes: Partial<Preferences>): void {
  write(() => localStorage, PREFERENCES, { ...readPreferences(), ...changes });
}

/** The call of this tab, or null where it was in none. */
export function readCallMemory(): CallMemory | null {
  const stored = read(() => sessionStorage, CALL);
  if (typeof stored.microphone_muted !== "boolean" || typeof stored.camera_off !== "boolean") return null;
  return { microphone_muted: stored.microphone_muted, camera_off: stored.camera_off };
}

export function rememberCall(call: CallMemory | null): void {
  write(() => sessionStorage, CALL, call);
}
