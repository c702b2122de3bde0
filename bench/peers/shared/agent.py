"""O: openrtc, every session in one process: `python agent.py start`.

Its own turn detector needs a download, so the agent brings the SDK's detectors of voice and of
turns, which are what the SDK takes by itself elsewhere. The greeting is said as it stands;
openrtc's own option would ask the model for one.
"""

import os

from livekit.agents import Agent, inference
from livekit.agents.inference_runner import _InferenceRunner
from livekit.plugins import assemblyai, groq, inworld
from livekit.plugins.turn_detector import multilingual  # noqa: F401 - registers its runners
from openrtc import AgentPool

# openrtc imports the detector that lacks its weights, and builds it for each session as long as
# there is a process to run it: without a runner there is none, and openrtc leaves it alone.
_InferenceRunner.registered_runners.clear()


class Assistant(Agent):
    def __init__(self) -> None:
        super().__init__(
            instructions=os.environ["PEER_PROMPT"],
            vad=inference.VAD(),
            turn_handling={"turn_detection": inference.TurnDetector(version="v1-mini")},
        )

    async def on_enter(self) -> None:
        self.session.say(os.environ["PEER_GREETING"])


pool = AgentPool(
    agent=Assistant,
    agent_name=os.environ["PEER_AGENT_NAME"],
    port=int(os.environ["PEER_PORT"]),
    # It takes a session whose room was deleted, as rooms are here, for a failed one, and would
    # leave after five.
    consecutive_failure_limit=1_000_000,
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
