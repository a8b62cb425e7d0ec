// Every sentence of the page in English. `{name}` stands for what is filled in.

export const ENGLISH = {
  // Everywhere
  title: "Join the meeting",
  title_in_room: "{room} – meeting",
  language_other: "中文",
  banner_title: "Meeting",
  skip_to_content: "Skip to the content",
  opening: "One moment …",
  noscript: "This page needs JavaScript. Please allow it for this page and load it again.",

  // Start
  start_heading: "Join the meeting",
  start_heading_room: "Join the meeting in “{room}”",
  start_explanation: "You meet the room. Guests cannot see or hear each other yet.",
  name_label: "Your name",
  name_hint: "The room sees this name.",
  name_missing: "Please enter your name: the room wants to know who is asking to come in.",
  camera_label: "Camera",
  microphone_label: "Microphone",
  speaker_label: "Speaker",
  no_camera: "No camera",
  no_microphone: "No microphone",
  default_device: "Default",
  unnamed_camera: "Camera {number}",
  unnamed_microphone: "Microphone {number}",
  unnamed_speaker: "Speaker {number}",
  preview_label: "Your picture, as the room will see it",
  preview_off: "Your camera is off.",
  level_label: "Level of your microphone",
  join: "Join",
  joining: "Joining …",
  without_camera_and_microphone: "The room will neither see nor hear you, but you will see and hear the room.",

  sound_only:
    "This browser has no H.264 video: you and the room will hear each other and can write, without pictures. For pictures in Firefox, install the OpenH264 plugin (Add-ons, Plugins), wait for its download and load this page again; or use Chrome, Edge or Safari.",

  // Devices
  camera_permission_denied:
    "The browser does not let this page use your camera. Click the camera or lock symbol beside the address, allow the camera, and try again.",
  microphone_permission_denied:
    "The browser does not let this page use your microphone. Click the microphone or lock symbol beside the address, allow the microphone, and try again.",
  camera_not_found: "There is no camera. Plug one in and try again, or join without.",
  microphone_not_found: "There is no microphone. Plug one in and try again, or join without.",
  camera_in_use: "Another program is using the camera. Close that program and try again.",
  microphone_in_use: "Another program is using the microphone. Close that program and try again.",
  camera_failed: "The camera does not work. Unplug it, plug it in again, and try again.",
  microphone_failed: "The microphone does not work. Unplug it, plug it in again, and try again.",
  screen_failed:
    "The screen cannot be shared. Check that your system allows this browser to record the screen, and try again.",
  speaker_failed: "The speaker could not be changed. Choose another one.",
  try_again: "Try again",

  // Joining
  invalid_name: "The room does not take this name. Please use letters, and a shorter name.",
  too_many_attempts: "There were too many attempts. Please wait a minute and try again.",
  meeting_full: "The meeting is full. Please wait until somebody leaves, and try again.",
  room_unreachable: "The room cannot be reached. Check your internet connection and try again.",
  room_failed: "The room has a fault. Please try again; if that does not help, tell your host.",

  // Refusals
  refused_heading: "You cannot join here",
  link_not_valid:
    "This link is not valid, or not any more. Ask your host for a new one, and open it as it was sent to you.",
  no_link: "You need a link to join. Open the link that your host sent you, as it is.",
  insecure_context:
    "The browser gives camera and microphone to secure pages only. Open the link with https:// at its beginning.",
  no_webrtc: "This browser cannot take part in calls. Please use a current Chrome, Edge, Firefox or Safari.",

  // Waiting and connecting
  connecting: "Connecting to the room …",
  waiting_heading: "Please wait",
  waiting_explanation: "Somebody in the room has to let you in.",
  cancel: "Cancel",

  // In the call
  call_heading: "Call with {room}",
  far_end_label: "Picture from the room",
  slides_label: "Slides from the room",
  own_label: "Your own picture",
  sound_only_call: "Sound only: this browser has no H.264 video.",
  no_picture_yet: "Waiting for the picture from the room …",
  held: "The room has put the call on hold.",
  now_in_call: "You are in the meeting.",
  controls_label: "Call controls",
  mute: "Mute",
  unmute: "Unmute",
  mute_shortcut: "Mute or unmute (M)",
  camera_stop: "Camera off",
  camera_start: "Camera on",
  camera_shortcut: "Camera on or off (C)",
  share: "Share screen",
  share_stop: "Stop sharing",
  share_shortcut: "Share screen or stop (S)",
  chat: "Chat",
  devices: "Devices",
  leave: "Leave",
  close: "Close",
  muted_now: "Your microphone is muted.",
  unmuted_now: "Your microphone is on.",
  camera_off_now: "Your camera is off.",
  camera_on_now: "Your camera is on.",
  sharing_now: "The room sees your screen.",
  sharing_over: "Your screen is no longer shared.",
  hear_room: "Click here to hear the room",
  devices_heading: "Devices",
  guests_note: "You meet the room. Guests cannot see or hear each other yet.",

  // Connection
  signalling_lost: "The connection to the room is interrupted. It is being restored …",
  media_disturbed: "Picture and sound are interrupted. A new way to the room is being looked for …",
  media_blocked:
    "No way for picture and sound has been found yet. Your network may block calls: try another network, or switch off your VPN.",
  connection_back: "The connection is back.",
  quality_good: "Good connection",
  quality_fair: "Weak connection",
  quality_poor: "Poor connection",
  quality_unknown: "Measuring the connection …",
  loss_from_room: "Much of what the room sends is lost on the way. A cable, or a place nearer to the Wi-Fi, helps.",
  loss_to_room: "Much of what you send is lost on the way. A cable, or a place nearer to the Wi-Fi, helps.",
  delay: "It takes long until the room hears you. Other downloads on your network may be the cause.",
  picture_freezes: "The picture stands still at times: your connection is too slow for it.",

  // Chat
  chat_heading: "Chat with the room",
  chat_empty: "Nothing has been written yet.",
  chat_field: "Message",
  chat_send: "Send",
  chat_closed: "The chat is not connected.",
  chat_you: "You",
  chat_room: "Room",
  chat_unread: "Chat, new messages",
  caption: "Caption",

  // After the end
  ended_heading: "You have left the meeting",
  ended_heading_by_room: "The meeting is over for you",
  left: "You have left. You can come back as long as the meeting lasts.",
  declined: "The room did not let you in.",
  no_answer: "Nobody in the room answered. Try again, or ask your host by another way.",
  busy: "The room cannot take another call now. Try again later.",
  hung_up: "The room has ended the call.",
  meeting_over: "The meeting has ended. The link to it is of no use any more.",
  link_expired: "Your link has expired. Ask your host for a new one.",
  link_revoked: "Your link was withdrawn. Ask your host for a new one.",
  session_over: "Your visit has ended. Open the link again, or ask your host for a new one.",
  taken_over: "You have joined from another tab or window. This one has left.",
  media_incompatible: "The room and this browser have no picture format in common. Try a current Chrome, Edge or Safari.",
  connection_lost: "The connection to the room was lost. Check your internet connection and join again.",
  shutting_down: "The room is being restarted. Try again in a minute.",
  failed: "The call has failed. Try again; if that does not help, tell your host.",
  join_again: "Join again",
};

/** The name of a sentence. */
export type TextKey = keyof typeof ENGLISH;

/** Every sentence of the page in one language. */
export type Texts = Record<TextKey, string>;
