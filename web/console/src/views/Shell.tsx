/** The frame around every view: where one is, and whether what is shown is live. */

import { lazy, type ReactNode, Suspense, useEffect, useRef } from "react";
import { useConsole, useNow, useRoute, useStore } from "../live/hooks";
import { Loading } from "../parts/small";
import { format, type Route, sessionRoute } from "../state/route";
import { Agents } from "./Agents";
import { Checks } from "./Checks";
import { Sessions } from "./Sessions";
import { Talk } from "./Talk";
import { Webhooks } from "./Webhooks";

// The charts are half of the console's code, and the list must not wait for them.
const Overview = lazy(() => import("./Overview"));

/** A stream that comes back sooner than this is not worth a word. */
const PATIENCE_MS = 2500;

const PLACES: readonly { readonly route: Route; readonly label: string; readonly icon: string }[] = [
  { route: { view: "overview" }, label: "Overview", icon: "M4 13h4v7H4zM10 8h4v12h-4zM16 4h4v16h-4z" },
  { route: sessionRoute(null), label: "Sessions", icon: "M4 6h16M4 12h16M4 18h10" },
  { route: { view: "agents" }, label: "Agents", icon: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8M4 21c1-5 4-7 8-7s7 2 8 7" },
  { route: { view: "webhooks" }, label: "Webhooks", icon: "M4 12h12M11 6l6 6-6 6M20 5v14" },
  { route: { view: "checks" }, label: "Checks", icon: "M4 12l5 6L20 6" },
];

function View({ route }: { readonly route: Route }): ReactNode {
  switch (route.view) {
    case "overview":
      return (
        <Suspense fallback={<Loading what="the figures" />}>
          <Overview />
        </Suspense>
      );
    case "sessions":
      return <Sessions id={route.id} tab={route.tab} />;
    case "webhooks":
      return <Webhooks sessionId={null} />;
    case "agents":
      return <Agents />;
    case "checks":
      return <Checks />;
  }
}

export function Shell({ signOut }: { readonly signOut: (() => void) | null }): ReactNode {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const label = PLACES.find((place) => place.route.view === route.view)?.label ?? "";
  const shown = useRef(route.view);
  useEffect(() => {
    document.title = `${label} · Console`;
    // Whoever moves by keyboard or listens goes on in the new view, not behind the old link.
    if (shown.current !== route.view) main.current?.focus();
    shown.current = route.view;
  }, [label, route.view]);
  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header className="rail">
        <p className="mark">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <path d="M4 16c3 0 3-8 6-8s3 16 6 16 3-16 6-16 3 8 6 8" />
          </svg>
          Console
        </p>
        <nav aria-label="Console">
          {PLACES.map((place) => (
            <a
              key={place.label}
              href={format(place.route)}
              aria-current={place.route.view === route.view ? "page" : undefined}
            >
              <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
                <path d={place.icon} />
              </svg>
              <span>{place.label}</span>
              {place.route.view === "sessions" && <LiveCount />}
            </a>
          ))}
        </nav>
        <div className="rail-foot">
          <LinkLamp />
          {signOut !== null && (
            <button type="button" className="rail-button" onClick={signOut}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Offline />
        <View route={route} />
      </main>
      <Talk />
    </div>
  );
}

function LiveCount(): ReactNode {
  const { sessions } = useConsole();
  const count = useStore(sessions).live.size;
  return count === 0 ? null : (
    <span className="badge" aria-label={`${count} live`}>
      {count}
    </span>
  );
}

function LinkLamp(): ReactNode {
  const { state } = useStore(useConsole().link);
  const text = state === "live" ? "Live" : state === "connecting" ? "Connecting" : "Offline";
  return (
    <p className="lamp" role="status" data-state={state}>
      {text}
    </p>
  );
}

function Offline(): ReactNode {
  const { lostAt, state } = useStore(useConsole().link);
  useNow(1, lostAt !== null);
  if (lostAt === null || state === "live") return null;
  const away = performance.now() - lostAt;
  if (away < PATIENCE_MS) return null;
  return (
    <p className="offline" role="alert">
      The service does not answer. What is shown was true {Math.round(away / 1000)} s ago; it is tried again by
      itself.
    </p>
  );
}
