// Watches whether the page's scripts come. Where one of them is lost on the way the browser does not ask for it again,
// and the page would stay empty without a word: it is loaded anew, and then says so. Imports nothing, for the same reason.

/** How long the scripts may take, in milliseconds. */
const PATIENCE = 15_000;
/** How often the page is loaded anew before the person is told. */
const RELOADS = 2;
const COUNTER = "roomd.guest.reloads";

/** Counts this time, unless it is one too many. Without a memory nobody knows when to stop. */
function mayReload(): boolean {
  try {
    const reloads = Number(sessionStorage.getItem(COUNTER));
    sessionStorage.setItem(COUNTER, String(reloads + 1));
    return reloads < RELOADS;
  } catch {
    return false;
  }
}

function forgetReloads(): void {
  try {
    sessionStorage.removeItem(COUNTER);
  } catch {
    // There is nothing to forget.
  }
}

setTimeout(() => {
  const hasBegun = document.documentElement.dataset.screen !== undefined;
  const notice = document.getElementById("not_loaded");
  if (hasBegun) forgetReloads();
  else if (mayReload()) location.reload();
  else if (notice !== null) notice.hidden = false;
}, PATIENCE);

export {};
