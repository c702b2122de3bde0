/** The operator's key: in memory, and in this tab's storage so that a reload asks for it no more. */

const NAME = "console.key";

export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null; // Storage is switched off: the key lives as long as the page.
  }
}

/** `null` forgets it. */
export function storeKey(key: string | null): void {
  try {
    if (key === null) sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    // As above.
  }
}
