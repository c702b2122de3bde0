/** How the whole stands: what is used, what happened lately, and who works. */

import { type ReactNode, useState } from "react";
import { useConsole, useStore } from "../live/hooks";
import { type Span, useFigures } from "../live/useFigures";
import { Loading, Segmented, Trouble } from "../parts/small";
import { Charts } from "./Charts";
import { Fleet, FLEET } from "./Fleet";
import { Numbers } from "./Numbers";

type Window = "hour" | "six" | "day";
const WINDOWS: readonly { readonly value: Window; readonly label: string }[] = [
  { value: "hour", label: "1 hour" },
  { value: "six", label: "6 hours" },
  { value: "day", label: "24 hours" },
];
const SPANS: Readonly<Record<Window, Span>> = {
  hour: { windowS: 3600, stepS: 60 },
  six: { windowS: 6 * 3600, stepS: 300 },
  day: { windowS: 24 * 3600, stepS: 900 },
};

function toFleet(): void {
  const fleet = document.getElementById(FLEET);
  fleet?.scrollIntoView({ block: "start" });
  fleet?.focus({ preventScroll: true });
}

export default function Overview(): ReactNode {
  const overview = useStore(useConsole().overview);
  const [window, setWindow] = useState<Window>("hour");
  const { figures, error, again } = useFigures(SPANS[window]);
  return (
    <div className="page overview">
      <div className="page-head">
        <h1>Overview</h1>
        <Segmented label="How far back" choices={WINDOWS} value={window} onChange={setWindow} />
      </div>
      {error !== null && <Trouble error={error} again={again} />}
      {overview === null ? <Loading what="the fleet" /> : <Numbers overview={overview} figures={figures} toFleet={toFleet} />}
      {figures.steps.length > 0 && <Charts figures={figures} limit={overview?.slots.limit ?? null} />}
      {overview !== null && <Fleet overview={overview} />}
    </div>
  );
}
