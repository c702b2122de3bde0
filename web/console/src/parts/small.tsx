/** The small things that every view is made of. */

import { type ReactNode, useState } from "react";
import { ApiError, UnreachableError } from "../api/client";
import { words } from "../state/format";

/** A state as a coloured dot and its word: never by colour alone. */
export function Pill({ status, text }: { readonly status: string; readonly text?: string }): ReactNode {
  return (
    <span className="pill" data-status={status}>
      {text ?? words(status)}
    </span>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }): ReactNode {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

export function Loading({ what }: { readonly what: string }): ReactNode {
  return (
    <div className="loading" role="status">
      <span className="wave" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      Reading {what}
    </div>
  );
}

/** What went wrong, in a sentence that says what to do about it. */
export function troubleOf(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.code === "store_unavailable") {
      return "Redis does not answer the service. Its state comes back with it; nothing has to be done here.";
    }
    if (error.status === 404) return "It is not there: it was erased, or its time to be kept is over.";
    return `The service refused: ${error.detail ?? error.message}`;
  }
  if (error instanceof UnreachableError) return "The service does not answer.";
  return "Something went wrong in this page. Reload it.";
}

export function Trouble({ error, again }: { readonly error: unknown; readonly again?: () => void }): ReactNode {
  return (
    <div className="trouble" role="alert">
      <p>{troubleOf(error)}</p>
      {again !== undefined && (
        <button type="button" className="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A sentence of the service's, in which what stands between backticks is to be typed. */
export function Sentence({ text }: { readonly text: string }): ReactNode {
  return text.split("`").map((part, n) => (n % 2 === 1 ? <code key={n}>{part}</code> : part));
}

export function Facts({ of }: { readonly of: readonly (readonly [string, ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const COPIED_MS = 1500;

/** An id that one click copies. */
export function Copyable({ text, label }: { readonly text: string; readonly label: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    // Browsers give pages a clipboard only over https, or on loopback.
    const copying = (navigator.clipboard as Clipboard | undefined)?.writeText(text);
    copying
      ?.then(() => {
        setCopied(true);
        setTimeout(() => setCopied(false), COPIED_MS);
      })
      .catch(() => undefined);
  };
  return (
    <button type="button" className="copyable" onClick={copy} title={`Copy ${label}`}>
      <span className="mono">{text}</span>
      <span className="unseen">, copy {label}</span>
      <span className="copied" role="status">
        {copied ? "copied" : ""}
      </span>
    </button>
  );
}

export interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
}

/** A few choices of which one is taken. */
export function Segmented<Value extends string>(props: {
  readonly label: string;
  readonly choices: readonly Choice<Value>[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}): ReactNode {
  return (
    <div className="segmented" role="group" aria-label={props.label}>
      {props.choices.map(({ value, label }) => (
        <button
          key={value}
          type="button"
          aria-pressed={value === props.value}
          onClick={() => props.onChange(value)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
