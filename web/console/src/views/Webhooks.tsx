/** Events on their way to the endpoints, and what became of them; of one session, or of all. */

import { type ReactNode, useEffect, useState } from "react";
import type { DeliveriesAnswer, DeliveryAnswer } from "../api/types";
import { duration, moment } from "../state/format";
import { useConsole, useLoaded, useNow } from "../live/hooks";
import { Empty, Loading, Pill, Segmented, Trouble, troubleOf } from "../parts/small";
import { format, sessionRoute } from "../state/route";

type Which = "all" | DeliveryAnswer["status"];
const WHICH: readonly { readonly value: Which; readonly label: string }[] = [
  { value: "all", label: "All" },
  { value: "pending", label: "Waiting" },
  { value: "delivered", label: "Delivered" },
  { value: "dead", label: "Given up" },
];
const PAGE = 100;
/** Several come together, and what an event brings with it is made a moment later. */
const SETTLE_MS = 500;

export function Webhooks({ sessionId }: { readonly sessionId: string | null }): ReactNode {
  const console = useConsole();
  const [which, setWhich] = useState<Which>("all");
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const cursor = cursors.at(-1) ?? null;
  const query = { status: which === "all" ? null : which, session: sessionId, limit: PAGE, cursor };
  const page = useLoaded(JSON.stringify(query), (signal) =>
    console.client.get<DeliveriesAnswer>("/api/deliveries", query, signal),
  );
  const { again } = page;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        again();
      }, SETTLE_MS);
    };
    const leave = console.listen((event) => {
      if (sessionId === null || event.sessionId === sessionId) soon();
    });
    // No event tells what became of a delivery; the overview counts them.
    const count = (): number | null => console.overview.get()?.deliveries ?? null;
    let counted = count();
    const forget = console.overview.subscribe(() => {
      if (counted !== count()) soon();
      counted = count();
    });
    return () => {
      leave();
      forget();
      clearTimeout(timer);
    };
  }, [console, sessionId, again]);
  const Title = sessionId === null ? "h1" : "h3";
  return (
    <div className={sessionId === null ? "page" : "webhooks"}>
      <div className="page-head">
        <Title>Webhooks</Title>
        <Segmented
          label="Which deliveries"
          choices={WHICH}
          value={which}
          onChange={(value) => (setWhich(value), setCursors([null]))}
        />
      </div>
      {page.error !== null && <Trouble error={page.error} again={again} />}
      {page.loading && <Loading what="the deliveries" />}
      {page.value !== null && <Deliveries of={page.value.deliveries} linked={sessionId === null} again={again} />}
      <div className="pager">
        {cursors.length > 1 && (
          <button type="button" className="button" onClick={() => setCursors(cursors.slice(0, -1))}>
            Newer
          </button>
        )}
        {page.value !== null && page.value.cursor !== null && (
          <button type="button" className="button" onClick={() => setCursors([...cursors, page.value?.cursor ?? null])}>
            Older
          </button>
        )}
      </div>
    </div>
  );
}

interface DeliveriesProps {
  readonly of: readonly DeliveryAnswer[];
  readonly linked: boolean;
  readonly again: () => void;
}

function Deliveries({ of, linked, again }: DeliveriesProps): ReactNode {
  const now = useNow(10);
  if (of.length === 0) {
    return <Empty title="No deliveries">Events go to the endpoints of ASSISTANT_WEBHOOKS; without one there are none.</Empty>;
  }
  return (
    <ul className="deliveries">
      {of.map((delivery) => (
        <Delivery key={delivery.id} delivery={delivery} linked={linked} now={now} again={again} />
      ))}
    </ul>
  );
}

interface DeliveryProps {
  readonly delivery: DeliveryAnswer;
  readonly linked: boolean;
  readonly now: number;
  readonly again: () => void;
}

const FATE: Readonly<Record<string, string>> = { pending: "waiting", delivered: "delivered", dead: "given up" };

function Delivery({ delivery, linked, now, again }: DeliveryProps): ReactNode {
  const { client } = useConsole();
  const [error, setError] = useState<unknown>(null);
  const [sent, setSent] = useState(false);
  const resend = (): void => {
    setSent(true);
    setError(null);
    client
      .post(`/api/deliveries/${encodeURIComponent(delivery.id)}/replay`)
      .then(again)
      .catch(setError)
      .finally(() => setSent(false));
  };
  const last = delivery.log.at(-1);
  return (
    <li className="delivery">
      <Pill status={delivery.status} text={FATE[delivery.status] ?? delivery.status} />
      <span className="mono delivery-event">{delivery.event}</span>
      <span className="faint delivery-to">to {delivery.endpoint}</span>
      {linked && (
        <a className="delivery-session" href={format(sessionRoute(delivery.sessionId, "webhooks"))}>
          {delivery.sessionId}
        </a>
      )}
      <span className="number faint delivery-at">{moment(delivery.createdAt, now)}</span>
      <button type="button" className="button small" disabled={sent} onClick={resend}>
        Send again<span className="unseen"> {delivery.event}</span>
      </button>
      {last !== undefined && (
        <p className="delivery-fate faint">
          {delivery.attempts === 1 ? "One attempt" : `${delivery.attempts} attempts, the last`} in{" "}
          {duration(last.durationS)}: {last.error ?? `status ${last.status ?? "unknown"}`}
          {delivery.nextAt !== null && delivery.nextAt > now && `; again in ${duration(delivery.nextAt - now)}`}
        </p>
      )}
      {error !== null && <p role="alert">{troubleOf(error)}</p>}
    </li>
  );
}
