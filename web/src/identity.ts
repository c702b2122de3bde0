/** Who is talking: random names that say nothing about the person. */

const USER_KEY = "talk.userId";
const USER_PATTERN = /^web-[0-9a-f]{32}$/;

/** 128 random bits as 32 hex digits: within `[A-Za-z0-9_-]{1,64}`, and not to be guessed. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A remembered value; null when there is none or the browser keeps no storage for us. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // Storage is switched off: the page works, it only forgets.
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // As above.
  }
}

/** The same for every visit of this browser, until its storage is cleared. */
export function userId(): string {
  const known = recall(USER_KEY);
  if (known !== null && USER_PATTERN.test(known)) return known;
  const fresh = `web-${randomId()}`;
  remember(USER_KEY, fresh);
  return fresh;
}
