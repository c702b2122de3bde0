/** Plays a session's recording, with who spoke when as its ruler. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import type { ItemAnswer, ReportAnswer } from "../api/types";
import { bytes } from "../state/format";
import { useConsole } from "../live/hooks";
import { Trouble } from "../parts/small";

type Stored = ReportAnswer["recordings"][number];

interface Props {
  readonly report: ReportAnswer;
  readonly items: readonly ItemAnswer[];
}

export function Recording({ report, items }: Props): ReactNode {
  if (report.recordings.length === 0) return null;
  return (
    <section>
      <h3>Recording</h3>
      {report.recordings.map((stored) => (
        <Player
          key={stored.attempt}
          sessionId={report.sessionId}
          stored={stored}
          items={items.filter((item) => item.attempt === stored.attempt)}
        />
      ))}
    </section>
  );
}

interface PlayerProps {
  readonly sessionId: string;
  readonly stored: Stored;
  readonly items: readonly ItemAnswer[];
}

/** The sound is asked for with the key, so it cannot be a plain address of an audio element. */
function Player({ sessionId, stored, items }: PlayerProps): ReactNode {
  const { client } = useConsole();
  const [url, setUrl] = useState<string | null>(null);
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [lengthS, setLengthS] = useState<number | null>(null);
  const [atS, setAtS] = useState(0);
  const audio = useRef<HTMLAudioElement>(null);

  useEffect(() => {
    if (!asked) return;
    const stop = new AbortController();
    let made: string | null = null;
    client
      .blob(`/api/sessions/${sessionId}/recording?attempt=${stored.attempt}`, stop.signal)
      .then((blob) => {
        made = URL.createObjectURL(blob);
        setUrl(made);
      })
      .catch((reason: unknown) => {
        if (!stop.signal.aborted) setError(reason);
      });
    return () => {
      stop.abort();
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [asked, client, sessionId, stored.attempt]);

  if (error !== null) return <Trouble error={error} />;
  if (url === null) {
    return (
      <button type="button" className="button" disabled={asked} onClick={() => setAsked(true)}>
        {asked ? "Fetching…" : `Play attempt ${stored.attempt}`} <span className="faint">{bytes(stored.bytes)}</span>
      </button>
    );
  }
  const seek = (toS: number): void => {
    const element = audio.current;
    if (element === null) return;
    element.currentTime = toS;
    void element.play();
  };
  return (
    <div className="player">
      <audio
        ref={audio}
        src={url}
        controls
        autoPlay
        aria-label={`Recording of attempt ${stored.attempt}`}
        onDurationChange={(event) => setLengthS(finite(event.currentTarget.duration))}
        onTimeUpdate={(event) => setAtS(event.currentTarget.currentTime)}
      />
      {lengthS !== null && stored.startedAt !== null && (
        <Lanes items={items} from={stored.startedAt} lengthS={lengthS} atS={atS} onSeek={seek} />
      )}
    </div>
  );
}

const finite = (seconds: number): number | null => (Number.isFinite(seconds) && seconds > 0 ? seconds : null);

interface LanesProps {
  readonly items: readonly ItemAnswer[];
  /** When the recording began, Unix seconds. */
  readonly from: number;
  readonly lengthS: number;
  readonly atS: number;
  readonly onSeek: (toS: number) => void;
}

/** Two lanes, the user's and the agent's, with a block for each time that one of them spoke. */
function Lanes({ items, from, lengthS, atS, onSeek }: LanesProps): ReactNode {
  const percent = (seconds: number): string => `${Math.min(Math.max(seconds / lengthS, 0), 1) * 100}%`;
  const spoken = items.filter((item) => item.startedAt !== null && item.endedAt !== null);
  return (
    <div className="lanes" aria-hidden="true">
      {spoken.map((item) => {
        const startS = (item.startedAt ?? from) - from;
        const endS = (item.endedAt ?? from) - from;
        return (
          <i
            key={item.id}
            className="lane-block"
            data-who={item.role}
            title={item.text}
            style={{ left: percent(startS), width: `max(3px, ${percent(endS - startS)})` }}
            onClick={() => onSeek(Math.max(startS, 0))}
          />
        );
      })}
      <i className="lane-head" style={{ left: percent(atS) }} />
    </div>
  );
}
