"""D: stock livekit-agents, as its quickstart writes a voice agent: `python agent.py start`.

The session's voice activity detection and turn detection are the SDK's own defaults, as in the
starter template; so are endpointing, interruption and preemptive generation. The prompt, the
greeting and the vendors' addresses come from the environment.
"""

import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import assemblyai, groq, inworld

MAX_JOBS = 25


def load(worker: AgentServer) -> float:
    """By jobs: the default, the machine's CPU, would count the callers and the other contenders."""
    return min(len(worker.active_jobs) / MAX_JOBS, 1.0)


server = AgentServer(
    num_idle_processes=int(os.environ["PEER_IDLE_PROCESSES"]),
    load_fnc=load,
    host="127.0.0.1",
    port=int(os.environ["PEER_PORT"]),
)


@server.rtc_session(agent_name=os.environ["PEER_AGENT_NAME"])
async def talk(ctx: JobContext) -> None:
    session: AgentSession[None] = AgentSession(
        stt=assemblyai.STT(base_url=os.environ["PEER_ASSEMBLYAI_URL"]),
        llm=groq.LLM(model=os.environ["PEER_LLM_MODEL"], base_url=os.environ["PEER_GROQ_URL"]),
        tts=inworld.TTS(
            voice=os.environ["PEER_VOICE"],
            model=os.environ["PEER_TTS_MODEL"],
            base_url=os.environ["PEER_INWORLD_URL"],
            ws_url=os.environ["PEER_INWORLD_WS_URL"],
        ),
    )
    await session.start(Agent(instructions=os.environ["PEER_PROMPT"]), room=ctx.room)
    session.say(os.environ["PEER_GREETING"])


if __name__ == "__main__":
    cli.run_app(server)
