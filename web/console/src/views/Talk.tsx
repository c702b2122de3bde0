/** A conversation with an agent, beside whatever is looked at: the talk page in a frame. */

import { type ReactNode, useEffect, useRef } from "react";
import { useConsole, useStore } from "../live/hooks";

/** As the talk page says and hears it: web/src/frame.ts. */
const READY = "assistant-talk:ready";
const CLOSE = "assistant-talk:close";

export function Talk(): ReactNode {
  const { client, talking } = useConsole();
  const agent = useStore(talking);
  const frame = useRef<HTMLIFrameElement>(null);
  useEffect(() => {
    if (agent === null) return;
    const hear = (event: MessageEvent<unknown>): void => {
      const page = frame.current?.contentWindow;
      if (!page || event.source !== page || event.origin !== window.location.origin) return;
      const message = event.data as { type?: unknown } | null;
      // To our own origin alone, whatever the frame may have gone to.
      if (message?.type === READY) {
        page.postMessage({ type: "assistant-talk:key", key: client.key }, window.location.origin);
      }
      if (message?.type === CLOSE) talking.dispatch(null);
    };
    window.addEventListener("message", hear);
    return () => window.removeEventListener("message", hear);
  }, [agent, client, talking]);
  if (agent === null) return null;
  return (
    <aside className="talk" aria-label={`Talk to ${agent}`}>
      <iframe
        key={agent}
        ref={frame}
        title={`Talk to ${agent}`}
        allow="microphone; autoplay; speaker-selection; clipboard-write"
        src={`/console/talk#${new URLSearchParams({ agent }).toString()}`}
      />
    </aside>
  );
}
