/** What agents.yaml holds, with every default filled in. */

import type { ReactNode } from "react";
import type { AgentAnswer, AgentsAnswer } from "../api/types";
import { useConsole, useLoaded } from "../live/hooks";
import { Facts, Loading, Trouble } from "../parts/small";
import { Values } from "../parts/Values";

export function Agents(): ReactNode {
  const { client } = useConsole();
  const agents = useLoaded("agents", (signal) => client.get<AgentsAnswer>("/api/agents", {}, signal));
  return (
    <div className="page">
      <div className="page-head">
        <h1>Agents</h1>
      </div>
      {agents.error !== null && <Trouble error={agents.error} again={agents.again} />}
      {agents.loading && <Loading what="agents.yaml" />}
      {agents.value?.agents.map((agent) => (
        <Agent key={agent.name} agent={agent} isDefault={agent.name === agents.value?.default} />
      ))}
      {agents.value !== null && agents.value.prices !== null && (
        <article className="agent">
          <h2>Prices</h2>
          <Values of={agents.value.prices} />
        </article>
      )}
    </div>
  );
}

function Agent({ agent, isDefault }: { readonly agent: AgentAnswer; readonly isDefault: boolean }): ReactNode {
  const { talking } = useConsole();
  const model = ({ provider, model: name }: AgentAnswer["llm"]): ReactNode => (
    <>
      {provider}
      <span className="mono model">{name}</span>
    </>
  );
  const voices = agent.voices.filter((voice) => voice !== agent.voice);
  return (
    <article className="agent">
      <header>
        <h2>{agent.title}</h2>
        <p className="faint">
          <span className="mono">{agent.name}</span>
          {isDefault && ", the default"}
          {!agent.listed && ", not on the talk page"}
        </p>
        <button type="button" className="button primary" onClick={() => talking.dispatch(agent.name)}>
          Talk<span className="unseen"> to {agent.title}</span>
        </button>
      </header>
      <Facts
        of={[
          ["Language", agent.language],
          ["Modality", agent.modality],
          ["Hears with", model(agent.stt)],
          ["Thinks with", model(agent.llm)],
          ["Speaks with", model(agent.tts)],
          ["Voice", voices.length === 0 ? agent.voice : `${agent.voice}, or ${voices.join(", ")}`],
          ["Tools", agent.tools.length === 0 ? "none" : <span className="mono">{agent.tools.join(", ")}</span>],
        ]}
      />
      <details>
        <summary>All values</summary>
        <Values of={agent.effective} />
      </details>
    </article>
  );
}
