/** Live control: what an operator may do to a conversation while it runs. */

import { type FormEvent, type ReactNode, useState } from "react";
import type { AgentsAnswer, CommandAnswer, SessionAnswer } from "../api/types";
import { useConsole, useLoaded } from "../live/hooks";
import { troubleOf } from "../parts/small";

type Kind = "say" | "context" | "instructions";

interface Form {
  readonly kind: Kind;
  readonly label: string;
  readonly placeholder: string;
  readonly done: string;
  readonly body: (text: string) => unknown;
}

const FORMS: readonly Form[] = [
  {
    kind: "say",
    label: "Say",
    placeholder: "The agent says this now, in its own voice",
    done: "It is being said.",
    body: (text) => ({ text }),
  },
  {
    kind: "context",
    label: "Tell the agent",
    placeholder: "Its model knows this from now on; the caller does not hear it",
    done: "The agent knows it.",
    body: (text) => ({ text }),
  },
  {
    kind: "instructions",
    label: "Instruct",
    placeholder: "Replaces the agent's instructions from now on",
    done: "It has the new instructions.",
    body: (text) => ({ instructions: text }),
  },
];

type Told = { readonly text: string; readonly bad: boolean } | null;

interface ControlsProps {
  readonly session: SessionAnswer;
  /** Out of sight, but not forgotten: words that were not sent. */
  readonly hidden: boolean;
}

export function Controls({ session, hidden }: ControlsProps): ReactNode {
  const { client } = useConsole();
  const [told, setTold] = useState<Told>(null);
  const [busy, setBusy] = useState(false);
  /** Whether the command was taken. */
  const command = async (name: string, body: unknown, done: string): Promise<boolean> => {
    setBusy(true);
    setTold(null);
    try {
      const answer = await client.post<CommandAnswer>(`/api/sessions/${session.sessionId}/${name}`, body);
      const queued = "Queued: it is done when it can be.";
      setTold({ text: answer.status === "applied" ? done : queued, bad: false });
      return true;
    } catch (error) {
      setTold({ text: troubleOf(error), bad: true });
      return false;
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="controls" role="group" aria-label="Live control" hidden={hidden}>
      <Words busy={busy} command={command} />
      <Switches busy={busy} command={command} muted={session.muted ?? []} />
      <p className="told" role="status" data-bad={told?.bad ?? false}>
        {told?.text}
      </p>
    </div>
  );
}

interface Props {
  readonly busy: boolean;
  readonly command: (name: string, body: unknown, done: string) => Promise<boolean>;
}

function Words({ busy, command }: Props): ReactNode {
  const [kind, setKind] = useState<Kind>("say");
  const [text, setText] = useState("");
  const form = FORMS.find((each) => each.kind === kind);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (form === undefined || text.trim() === "") return;
    void command(form.kind, form.body(text), form.done).then((taken) => taken && setText(""));
  };
  return (
    <form className="words" onSubmit={submit}>
      <select aria-label="What to do with the words" value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
        {FORMS.map((each) => (
          <option key={each.kind} value={each.kind}>
            {each.label}
          </option>
        ))}
      </select>
      <input
        aria-label="Words"
        placeholder={form?.placeholder}
        maxLength={8000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit" className="button primary" disabled={busy || text.trim() === ""}>
        Send
      </button>
    </form>
  );
}

type Side = "agent" | "user";

function Switches({ busy, command, muted }: Props & { readonly muted: readonly Side[] }): ReactNode {
  const { client } = useConsole();
  const agents = useLoaded("agents", (signal) => client.get<AgentsAnswer>("/api/agents", {}, signal));
  return (
    <div className="switches">
      <button type="button" className="button" disabled={busy} onClick={() => void command("interrupt", {}, "It stopped.")}>
        Interrupt
      </button>
      <Mute who="agent" muted={muted.includes("agent")} busy={busy} command={command} />
      <Mute who="user" muted={muted.includes("user")} busy={busy} command={command} />
      <select
        aria-label="Hand over to another agent"
        disabled={busy}
        value=""
        onChange={(event) => void command("agent", { agent: event.target.value }, "Another agent has the conversation.")}
      >
        <option value="" disabled>
          Hand over to…
        </option>
        {agents.value?.agents.map((agent) => (
          <option key={agent.name} value={agent.name}>
            {agent.title}
          </option>
        ))}
      </select>
    </div>
  );
}

function Mute({ who, muted, busy, command }: Props & { readonly who: Side; readonly muted: boolean }): ReactNode {
  const press = (): void => {
    const done = muted ? `The ${who} is heard again.` : `The ${who} is not heard.`;
    void command("mute", { who, muted: !muted }, done);
  };
  return (
    <button type="button" className="button" aria-pressed={muted} disabled={busy} onClick={press}>
      Mute {who}
    </button>
  );
}
