/** Asks for the operator's key. It is to stay in the tab, so browsers and password managers are asked
 * not to keep it. A browser may offer to all the same: what it offers is the user's to decline. */

import { type FormEvent, type ReactNode, useState } from "react";

/** What 1Password, LastPass, Bitwarden, Proton Pass and Dashlane heed. */
const NOT_FOR_MANAGERS = {
  "data-1p-ignore": "",
  "data-lpignore": "true",
  "data-bwignore": "",
  "data-protonpass-ignore": "true",
  "data-form-type": "other",
};

interface Props {
  readonly refused: string | null;
  readonly onKey: (key: string) => void;
}

export function SignIn({ refused, onKey }: Props): ReactNode {
  const [key, setKey] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (key.trim() !== "") onKey(key.trim());
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit} autoComplete="off" aria-labelledby="sign-in-title">
        <h1 id="sign-in-title">Console</h1>
        <label htmlFor="key">Secret key</label>
        <input
          id="key"
          type="password"
          autoComplete="off"
          {...NOT_FOR_MANAGERS}
          autoFocus
          required
          value={key}
          aria-describedby="key-help"
          aria-invalid={refused !== null}
          onChange={(event) => setKey(event.target.value)}
        />
        {refused !== null && <p role="alert">{refused}</p>}
        <button type="submit" className="button primary">
          Sign in
        </button>
        <p id="key-help" className="faint">
          One of ASSISTANT_SECRET_KEYS, without its name. It stays in this tab until you sign out or close it; do not let the browser save it.
        </p>
      </form>
    </main>
  );
}
