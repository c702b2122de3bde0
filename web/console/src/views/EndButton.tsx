/** Ends a session that lives, erases one that is over; asked twice, since nothing brings it back. */

import { type ReactNode, useEffect, useState } from "react";
import { go, useConsole } from "../live/hooks";
import { troubleOf } from "../parts/small";
import { sessionRoute } from "../state/route";

const REGRET_MS = 4000;

interface FinalProps {
  readonly label: string;
  readonly sure: string;
  readonly act: () => Promise<unknown>;
}

function FinalButton({ label, sure, act }: FinalProps): ReactNode {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (!asked) return;
    const timer = setTimeout(() => setAsked(false), REGRET_MS);
    return () => clearTimeout(timer);
  }, [asked]);
  const press = (): void => {
    setAsked(!asked);
    if (!asked) return;
    setBusy(true);
    setError(null);
    act()
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return (
    <>
      <button type="button" className="button danger" disabled={busy} onClick={press}>
        {asked ? sure : label}
      </button>
      {error !== null && <span role="alert">{troubleOf(error)}</span>}
    </>
  );
}

export function EndButton({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { client } = useConsole();
  const end = (): Promise<unknown> => client.post("/api/session/end", { sessionId, reason: "operator" });
  return <FinalButton label="End" sure="End it for good" act={end} />;
}

/** With everything that is kept of it: record, words, report, sound. */
export function EraseButton({ sessionId }: { readonly sessionId: string }): ReactNode {
  const { client, sessions } = useConsole();
  const erase = async (): Promise<void> => {
    await client.erase(`/api/sessions/${sessionId}`);
    sessions.dispatch({ type: "erased", id: sessionId });
    go(sessionRoute(null));
  };
  return <FinalButton label="Erase" sure="Erase all of it for good" act={erase} />;
}
