/** Ends a session; asked twice, since nothing brings it back. */

import { type ReactNode, useEffect, useState } from "react";
import { useConsole } from "../live/hooks";
import { troubleOf } from "../parts/small";

const REGRET_MS = 4000;

export function EndButton({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { client } = useConsole();
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (!asked) return;
    const timer = setTimeout(() => setAsked(false), REGRET_MS);
    return () => clearTimeout(timer);
  }, [asked]);
  const press = (): void => {
    if (!asked) {
      setAsked(true);
      return;
    }
    setAsked(false);
    client.post("/api/session/end", { sessionId, reason: "operator" }).catch(setError);
  };
  return (
    <>
      <button type="button" className="button danger" onClick={press}>
        {asked ? "End it for good" : "End"}
      </button>
      {error !== null && <span role="alert">{troubleOf(error)}</span>}
    </>
  );
}
