"""O: openrtc, every session in one process: `python agent.py start`.

Its own turn detector needs a download, so the agent brings the SDK's, with the delays that the SDK
gives it. The greeting is said as it stands; openrtc's own greeting would ask the model for one.
"""

import os

from livekit.agents import Agent, inference
from livekit.plugins import assemblyai, groq, inworld
from openrtc import AgentPool

ENDPOINTING = {"min_delay": 0.3, "max_delay": 2.5}


class Assistant(Agent):
    def __init__(self) -> None:
        super().__init__(
            instructions=os.environ["PEER_PROMPT"],
            turn_detection=inference.TurnDetector(version="v1-mini"),
        )

    async def on_enter(self) -> None:
        self.session.say(os.environ["PEER_GREETING"])


pool = AgentPool(
    agent=Assistant,
    agent_name=os.environ["PEER_AGENT_NAME"],
    port=int(os.environ["PEER_PORT"]),
    default_stt=assemblyai.STT(base_url=os.environ["PEER_ASSEMBLYAI_URL"]),
    default_llm=groq.LLM(model=os.environ["PEER_LLM_MODEL"], base_url=os.environ["PEER_GROQ_URL"]),
    default_tts=inworld.TTS(
        voice=os.environ["PEER_VOICE"],
        model=os.environ["PEER_TTS_MODEL"],
        base_url=os.environ["PEER_INWORLD_URL"],
        ws_url=os.environ["PEER_INWORLD_WS_URL"],
    ),
)

if __name__ == "__main__":
    pool.run()
