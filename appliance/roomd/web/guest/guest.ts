// The guest: holds the page's state, carries out its effects, and joins call, devices and screens.

import { Backoff } from "./backoff.js";
import { Call } from "./call.js";
import type { MediaState } from "./call.js";
import { Speech, chooseLanguage } from "./language.js";
import { LocalMedia, deviceChoices } from "./local_media.js";
import type { DeviceChoices } from "./local_media.js";
import { OfferPace } from "./offer_pace.js";
import { step } from "./page_state.js";
import type { Effect, PageEvent, PageState, Step } from "./page_state.js";
import { readCallMemory, readPreferences, remember, rememberCall } from "./preferences.js";
import { assess } from "./quality.js";
import type { Counters } from "./quality.js";
import { createSession, findSession, renameGuest } from "./session.js";
import type { Session, SessionAnswer } from "./session.js";
import { Signalling } from "./signalling.js";
import type { MessageFromRoom } from "./signalling_messages.js";
import { SlidesPresence } from "./slides_presence.js";
import { CallView } from "./view/call_view.js";
import { ChatView } from "./view/chat_view.js";
import type { Chosen, DeviceKind } from "./view/device_selects.js";
import { button, showTrack, video } from "./view/elements.js";
import { PageView } from "./view/page_view.js";
import { StartView } from "./view/start_view.js";

/** How often the browser's statistics are read, in milliseconds. */
const STATISTICS_INTERVAL = 1000;
/** How many calls may be set up one after the other before the page says that the network blocks them. */
const CALLS_BEFORE_BLOCKED = 2;

export class Guest {
  /** Whether this browser can take part with pictures. */
  readonly #pictures: boolean;
  readonly #speech: Speech;
  readonly #media = new LocalMedia(() => this.#mediaChanged());
  readonly #page: PageView;
  readonly #start: StartView;
  readonly #callView: CallView;
  readonly #chat: ChatView;
  #state: PageState = { name: "opening", token: null, was_in_call: false };
  #choices: DeviceChoices = { camera: [], microphone: [], speaker: [] };
  #camera_wanted: boolean;
  #microphone_wanted = true;
  #signalling: Signalling | null = null;
  #call: Call | null = null;
  #offerPace = new OfferPace();
  #mediaState: MediaState = "connecting";
  #callsWithoutMedia = 0;
  #callBackoff = new Backoff();
  #callTimer: ReturnType<typeof setTimeout> | undefined;
  #statisticsTimer: ReturnType<typeof setTimeout> | undefined;
  #counters: Counters | null = null;
  #slides = new SlidesPresence();

  constructor(pictures: boolean) {
    this.#pictures = pictures;
    this.#camera_wanted = pictures;
    const preferences = readPreferences();
    this.#speech = new Speech(chooseLanguage(preferences.language, navigator.languages));
    this.#page = new PageView(
      this.#speech,
      () => this.#handle({ type: "again_pressed" }),
      () => this.#handle({ type: "leave_pressed" }),
    );
    this.#start = new StartView(this.#speech, pictures, {
      joinPressed: (guest_name) => {
        remember({ guest_name });
        this.#handle({ type: "join_pressed", guest_name });
      },
      deviceChosen: (kind, chosen) => void this.#chooseDevice(kind, chosen),
      tryDevicesAgain: () => void this.#openDevices(),
    });
    this.#callView = new CallView(this.#speech, pictures, {
      mutePressed: () => void this.#toggleMicrophone(),
      cameraPressed: () => void this.#toggleCamera(),
      sharePressed: () => void this.#toggleScreen(),
      leavePressed: () => this.#handle({ type: "leave_pressed" }),
      deviceChosen: (kind, chosen) => void this.#chooseDevice(kind, chosen),
      devicesOpened: () => this.#chat.close(),
    });
    this.#chat = new ChatView(
      this.#speech,
      (text) => this.#call?.sendChatLine(text) ?? false,
      () => this.#callView.closeDevices(),
    );
    this.#start.guestName = preferences.guest_name;
    button("language").addEventListener("click", () => this.#switchLanguage());
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#readChoices());
    this.#speakLanguage();
  }

  /** Shows the page as it was opened, and does what that asks for. */
  begin(first: Step): void {
    this.#take(first);
  }

  #handle(event: PageEvent): void {
    this.#take(step(this.#state, event));
  }

  #take({ state, effects }: Step): void {
    const before = this.#state.name;
    this.#state = state;
    const changed = this.#page.show(state);
    this.#showScreen(changed, before);
    for (const effect of effects) void this.#carryOut(effect);
  }

  #showScreen(changed: boolean, before: PageState["name"]): void {
    const { name } = this.#state;
    if (name === "start" || name === "exchanging") {
      this.#start.show(this.#state);
      if (changed) {
        if (this.#state.name === "start" && this.#state.credential.kind === "session") {
          this.#start.guestName = this.#state.credential.session.guest_name;
        }
        this.#start.focus();
        void this.#openDevices();
      }
    } else if (changed) {
      this.#start.hide();
    }
    if (name === "in_call") {
      this.#showCall();
    } else if (before === "in_call") {
      this.#callView.hide();
    }
    showTrack(video("waiting_preview"), name === "waiting" ? this.#media.track("camera") : null);
    this.#showMedia();
  }

  async #carryOut(effect: Effect): Promise<void> {
    switch (effect.type) {
      case "look_up_session":
        this.#handle(lookedUp(await findSession()));
        break;
      case "exchange_token":
        this.#handle(exchanged(await createSession(effect.token, effect.guest_name)));
        break;
      case "rename_guest":
        // The old name is no reason not to join.
        await renameGuest(effect.guest_name);
        break;
      case "forget_link":
        // What is in the address bar is in the history, and on a shared screen.
        history.replaceState(null, "", location.pathname);
        break;
      case "start_call":
        await this.#startCall(effect.session);
        break;
      case "stop_call":
        this.#stopCall();
        break;
      case "say_goodbye":
        this.#signalling?.send({ type: "leave" });
        break;
    }
  }

  // The call

  async #startCall(session: Session): Promise<void> {
    const memory = readCallMemory();
    if (memory !== null) {
      // A reload: what was switched off stays off.
      this.#media.setMuted(memory.microphone_muted);
      this.#camera_wanted = this.#pictures && !memory.camera_off;
      await this.#openDevices();
      if (this.#state.name !== "connecting") return;
    }
    this.#rememberCall();
    this.#chat.clear();
    this.#callsWithoutMedia = 0;
    this.#offerPace = new OfferPace();
    const address = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/guest/signalling`;
    this.#signalling = new Signalling(address, {
      opened: () => {
        // The room counts offers by connection.
        this.#handle({ type: "signalling_opened" });
        if (this.#call === null) this.#newCall(session);
        else void this.#call.signallingOpened();
      },
      lost: () => void this.#signallingLost(),
      received: (message) => this.#received(message),
    });
  }

  #newCall(session: Session): void {
    this.#call?.close();
    this.#mediaState = "connecting";
    this.#counters = null;
    this.#slides = new SlidesPresence();
    const call: Call = new Call(session.ice_servers, this.#pictures, this.#media, this.#offerPace, {
      send: (message) => this.#signalling?.send(message),
      reachable: () => this.#signalling?.open ?? false,
      mediaChanged: (state) => this.#mediaStateChanged(state),
      received: (message) => this.#chat.show(message),
      chatChanged: (open) => this.#chat.setConnected(open),
      slidesEnded: () => {
        this.#slides.ended();
        this.#callView.showSlides(false);
      },
      unanswered: () => this.#signalling?.reopen(),
      broken: () => this.#callBroken(session),
    });
    this.#call = call;
    if (this.#state.name === "in_call") this.#callView.showFarEnd(call.far_end, call.far_slides);
  }

  #callBroken(session: Session): void {
    this.#callsWithoutMedia += 1;
    this.#call?.close();
    this.#call = null;
    this.#mediaState = "disturbed";
    this.#showCall();
    clearTimeout(this.#callTimer);
    this.#callTimer = setTimeout(() => void this.#callAnew(session), this.#callBackoff.next());
  }

  async #callAnew(session: Session): Promise<void> {
    // The right to use a TURN server is given for a while only: there may be a newer one.
    const answer = await findSession();
    // Without signalling, its next opening makes the call.
    if (this.#call !== null || this.#signalling?.open !== true) return;
    this.#newCall(answer.kind === "session" ? answer.session : session);
  }

  #stopCall(): void {
    clearTimeout(this.#callTimer);
    clearInterval(this.#statisticsTimer);
    this.#statisticsTimer = undefined;
    this.#signalling?.close();
    this.#signalling = null;
    this.#call?.close();
    this.#call = null;
    rememberCall(null);
    this.#media.closeAll();
    this.#media.setMuted(false);
    this.#camera_wanted = this.#pictures;
    this.#microphone_wanted = true;
  }

  async #signallingLost(): Promise<void> {
    this.#handle({ type: "signalling_lost" });
    // A browser does not tell a refused WebSocket from a broken one: the session's address does.
    const answer = await findSession();
    if (answer.kind === "none") this.#handle({ type: "session_gone" });
  }

  #received(message: MessageFromRoom): void {
    switch (message.type) {
      case "waiting":
        this.#handle({ type: "waiting" });
        break;
      case "answer":
        void this.#takeAnswer(message.sdp);
        break;
      case "candidate":
        void this.#call?.takeCandidate(message.candidate, message.mid);
        break;
      case "held":
        this.#handle({ type: "held", held: message.held });
        break;
      case "ended":
        this.#handle({ type: "ended", reason: message.reason });
        break;
    }
  }

  async #takeAnswer(sdp: string): Promise<void> {
    const call = this.#call;
    if (call === null) return;
    const first = this.#state.name !== "in_call";
    // Before anything is shown: from here on the connection makes itself.
    const taken = call.takeAnswer(sdp);
    this.#handle({ type: "answered" });
    if (first) {
      this.#callView.showFarEnd(call.far_end, call.far_slides);
      const { speaker } = readPreferences();
      if (speaker !== null) void this.#callView.useSpeaker(speaker);
      this.#callView.showQuality(null);
      clearInterval(this.#statisticsTimer);
      this.#statisticsTimer = setInterval(() => void this.#readStatistics(), STATISTICS_INTERVAL);
    }
    await taken;
  }

  #mediaStateChanged(state: MediaState): void {
    const before = this.#mediaState;
    this.#mediaState = state;
    if (state === "connected") {
      this.#callsWithoutMedia = 0;
      this.#callBackoff.reset();
      if (before === "disturbed") this.#page.announce("connection_back");
    }
    this.#showCall();
  }

  async #readStatistics(): Promise<void> {
    const call = this.#call;
    if (call === null || this.#mediaState === "connecting") return;
    const counters = await call.counters();
    if (call !== this.#call) return;
    const before = this.#counters;
    this.#counters = counters;
    const { slides_frames, camera_frames, time } = counters;
    this.#callView.showSlides(this.#slides.observe(slides_frames, camera_frames, time));
    if (before !== null) this.#callView.showQuality(assess(before, counters));
  }

  #showCall(): void {
    if (this.#state.name !== "in_call") return;
    const blocked = this.#callsWithoutMedia >= CALLS_BEFORE_BLOCKED;
    this.#callView.show(this.#state, this.#mediaState, blocked);
  }

  // Devices

  async #openDevices(): Promise<void> {
    const { camera, microphone } = readPreferences();
    if (this.#camera_wanted && this.#microphone_wanted) await this.#media.openBoth(camera, microphone);
    else if (this.#camera_wanted) await this.#media.open("camera", camera);
    else if (this.#microphone_wanted) await this.#media.open("microphone", microphone);
    await this.#readChoices();
    const { name } = this.#state;
    // The person has left while the browser asked.
    if (name === "ended" || name === "refused") this.#media.closeAll();
  }

  async #readChoices(): Promise<void> {
    this.#choices = await deviceChoices();
    this.#showMedia();
  }

  async #chooseDevice(kind: DeviceKind, chosen: Chosen): Promise<void> {
    if (kind === "speaker") {
      const id = chosen.kind === "device" ? (chosen.id ?? "") : "";
      remember({ speaker: id });
      const changed = await this.#callView.useSpeaker(id);
      this.#callView.showDeviceProblem(changed ? null : "speaker_failed");
      return;
    }
    const wanted = chosen.kind === "device";
    if (kind === "camera") this.#camera_wanted = wanted;
    else this.#microphone_wanted = wanted;
    if (chosen.kind === "device") {
      remember({ [kind]: chosen.id });
      await this.#open(kind, chosen.id);
    } else {
      this.#media.close(kind);
    }
    this.#rememberCall();
  }

  async #open(kind: "camera" | "microphone", device: string | null): Promise<boolean> {
    const opened = await this.#media.open(kind, device);
    const problem = this.#media.problem(kind);
    if (this.#state.name === "in_call") {
      this.#callView.showDeviceProblem(problem === null ? null : `${kind}_${problem}`);
    }
    // Names are told once a device has been opened.
    void this.#readChoices();
    return opened;
  }

  async #toggleMicrophone(): Promise<void> {
    if (this.#media.track("microphone") === null) {
      this.#media.setMuted(false);
      this.#microphone_wanted = true;
      if (!(await this.#open("microphone", readPreferences().microphone))) return;
    } else {
      this.#media.setMuted(!this.#media.muted);
    }
    this.#page.announce(this.#media.muted ? "muted_now" : "unmuted_now");
    this.#rememberCall();
  }

  async #toggleCamera(): Promise<void> {
    this.#camera_wanted = this.#media.track("camera") === null;
    if (this.#camera_wanted) {
      if (!(await this.#open("camera", readPreferences().camera))) return;
    } else {
      this.#media.close("camera");
    }
    this.#page.announce(this.#camera_wanted ? "camera_on_now" : "camera_off_now");
    this.#rememberCall();
  }

  async #toggleScreen(): Promise<void> {
    if (this.#media.screen === null) {
      const problem = await this.#media.openScreen();
      this.#callView.showDeviceProblem(problem === null ? null : "screen_failed");
      if (this.#media.screen !== null) this.#page.announce("sharing_now");
    } else {
      this.#media.closeScreen();
      this.#page.announce("sharing_over");
    }
  }

  #rememberCall(): void {
    const { name } = this.#state;
    if (name !== "connecting" && name !== "waiting" && name !== "in_call") return;
    rememberCall({ microphone_muted: this.#media.muted, camera_off: !this.#camera_wanted });
  }

  #mediaChanged(): void {
    void this.#call?.takeMedia();
    this.#showMedia();
  }

  #showMedia(): void {
    const used = {
      camera: this.#camera_wanted ? this.#media.device("camera") : ("none" as const),
      microphone: this.#microphone_wanted ? this.#media.device("microphone") : ("none" as const),
      speaker: readPreferences().speaker,
    };
    switch (this.#state.name) {
      case "start":
      case "exchanging":
        this.#start.showMedia(this.#media, this.#choices, used);
        break;
      case "in_call":
        this.#callView.showMedia(this.#media, this.#choices, used);
        break;
      case "opening":
      case "connecting":
      case "waiting":
      case "ended":
      case "refused":
        break;
    }
  }

  #switchLanguage(): void {
    const language = this.#speech.language === "en" ? "zh" : "en";
    remember({ language });
    this.#speech.change(language);
    this.#speakLanguage();
    this.#page.show(this.#state);
    this.#showMedia();
  }

  #speakLanguage(): void {
    this.#speech.apply();
    // The button is in the other language.
    button("language").lang = this.#speech.language === "en" ? "zh-CN" : "en";
  }
}

function lookedUp(answer: SessionAnswer): PageEvent {
  switch (answer.kind) {
    case "session":
      return { type: "session_found", session: answer.session };
    case "none":
      return { type: "session_missing" };
    case "refused":
      return { type: "session_unreachable" };
  }
}

function exchanged(answer: SessionAnswer): PageEvent {
  switch (answer.kind) {
    case "session":
      return { type: "session_created", session: answer.session };
    case "none":
      return { type: "session_refused", problem: "link_not_valid" };
    case "refused":
      return { type: "session_refused", problem: answer.problem };
  }
}
