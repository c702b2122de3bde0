/** Who may see the console, and the console once they are known. */

import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";
import { ApiError, Client } from "./api/client";
import { Console } from "./live/console";
import { ConsoleContext } from "./live/hooks";
import { storedKey, storeKey } from "./live/key";
import { Loading, Trouble } from "./parts/small";
import { Shell } from "./views/Shell";
import { SignIn } from "./views/SignIn";

type Access =
  | { readonly state: "asking"; readonly key: string | null }
  | { readonly state: "open"; readonly key: string | null }
  | { readonly state: "closed"; readonly refused: string | null }
  | { readonly state: "away"; readonly key: string | null; readonly error: unknown };

/** Why a key was not taken; null: none was shown. */
function refusal(error: ApiError, key: string | null): string | null {
  if (error.status === 403) return "That is a publishable key. The console needs a secret one.";
  return key === null ? null : "The service does not know this key.";
}

export function App(): ReactNode {
  const [access, setAccess] = useState<Access>(() => ({ state: "asking", key: storedKey() }));

  useEffect(() => {
    if (access.state !== "asking") return;
    const { key } = access;
    const stop = new AbortController();
    // Without keys the service lets whoever is on its own machine straight in.
    new Client(key)
      .get("/api/sessions", { limit: 1 }, stop.signal)
      .then(() => {
        storeKey(key);
        setAccess({ state: "open", key });
      })
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        if (error instanceof ApiError && error.aboutKey) {
          storeKey(null);
          setAccess({ state: "closed", refused: refusal(error, key) });
        } else if (error instanceof ApiError) {
          // The key is good, or none is needed: what is wrong is shown where it matters.
          setAccess({ state: "open", key });
        } else {
          setAccess({ state: "away", key, error });
        }
      });
    return () => stop.abort();
  }, [access]);

  const signOut = useCallback((refused: string | null) => {
    storeKey(null);
    setAccess({ state: "closed", refused });
  }, []);

  switch (access.state) {
    case "asking":
      return <Loading what="the service" />;
    case "away":
      return (
        <main className="alone">
          <Trouble error={access.error} again={() => setAccess({ state: "asking", key: access.key })} />
        </main>
      );
    case "closed":
      return <SignIn refused={access.refused} onKey={(key) => setAccess({ state: "asking", key })} />;
    case "open":
      return <SignedIn apiKey={access.key} signOut={signOut} />;
  }
}

interface SignedInProps {
  readonly apiKey: string | null;
  readonly signOut: (refused: string | null) => void;
}

function SignedIn({ apiKey, signOut }: SignedInProps): ReactNode {
  const console = useMemo(
    () => new Console(new Client(apiKey, () => signOut("The service no longer takes this key."))),
    [apiKey, signOut],
  );
  useEffect(() => console.start(), [console]);
  return (
    <ConsoleContext value={console}>
      <Shell signOut={apiKey === null ? null : () => signOut(null)} />
    </ConsoleContext>
  );
}
