// The page's elements by their ids.

/** The element of that id. The page is one file with this script: a missing element is a fault of ours. */
export function element<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} "${id}"`);
  return found;
}

export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);
export const input = (id: string): HTMLInputElement => element(id, HTMLInputElement);
export const select = (id: string): HTMLSelectElement => element(id, HTMLSelectElement);
export const video = (id: string): HTMLVideoElement => element(id, HTMLVideoElement);
export const form = (id: string): HTMLFormElement => element(id, HTMLFormElement);
export const any = (id: string): HTMLElement => element(id, HTMLElement);

/** Shows a track in a video element, or nothing. The same track is not started anew. */
export function showTrack(target: HTMLVideoElement, track: MediaStreamTrack | null): void {
  const shown = target.srcObject instanceof MediaStream ? target.srcObject.getTracks()[0] : undefined;
  if (shown === (track ?? undefined)) return;
  target.srcObject = track === null ? null : new MediaStream([track]);
}
