"""One session of S: a Pipecat pipeline in a process of its own.

It is started ahead or on demand; either way it loads everything, says `ready` on its output, and
waits for one line on its input: a room, as JSON of `url`, `token` and `room`. It ends with the
caller's leaving, or with its input when no room has come.
"""

import asyncio
import json
import os
import sys

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.inworld.tts import InworldTTSService
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner


def aggregators() -> LLMContextAggregatorPair:
    """The conversation, with Pipecat's own turn taking; both of its models are loaded here."""
    context = LLMContext([{"role": "system", "content": os.environ["PEER_PROMPT"]}])
    hearing = LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=UserTurnStrategies()
    )
    return LLMContextAggregatorPair(context, user_params=hearing)


def services() -> tuple[AssemblyAISTTService, GroqLLMService, InworldTTSService]:
    return (
        AssemblyAISTTService(
            api_key=os.environ["ASSEMBLYAI_API_KEY"],
            api_endpoint_base_url=os.environ["PEER_ASSEMBLYAI_URL"] + "/v3/ws",
        ),
        GroqLLMService(
            api_key=os.environ["GROQ_API_KEY"],
            base_url=os.environ["PEER_GROQ_URL"],
            settings=GroqLLMService.Settings(model=os.environ["PEER_LLM_MODEL"]),
        ),
        InworldTTSService(
            api_key=os.environ["INWORLD_API_KEY"],
            url=os.environ["PEER_INWORLD_WS_URL"] + "tts/v1/voice:streamBidirectional",
            settings=InworldTTSService.Settings(
                model=os.environ["PEER_TTS_MODEL"], voice=os.environ["PEER_VOICE"]
            ),
        ),
    )


async def run() -> None:
    pair, (stt, llm, tts) = aggregators(), services()
    print("ready", flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        return
    room = json.loads(line)
    transport = LiveKitTransport(
        room["url"],
        room["token"],
        room["room"],
        params=LiveKitParams(audio_in_enabled=True, audio_out_enabled=True),
    )
    worker = PipelineWorker(
        Pipeline(
            [transport.input(), stt, pair.user(), llm, tts, transport.output(), pair.assistant()]
        )
    )

    @transport.event_handler("on_first_participant_joined")
    async def greet(_transport: LiveKitTransport, _participant: str) -> None:
        await worker.queue_frame(TTSSpeakFrame(os.environ["PEER_GREETING"]))

    @transport.event_handler("on_participant_left")
    async def leave(_transport: LiveKitTransport, _participant: str, _reason: str) -> None:
        await worker.cancel()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    asyncio.run(run())
