// The token in the address of an invitation: `/join#<token>`. A fragment stays in the browser; the
// room sees the token when the page exchanges it.

/** The token in a fragment, or null where it is none. */
export function tokenOf(hash: string): string | null {
  const token = hash.replace(/^#/, "");
  return /^[A-Za-z0-9_-]{16,256}$/.test(token) ? token : null;
}
