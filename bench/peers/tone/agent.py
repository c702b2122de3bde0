"""E: the floor of a turn: a bare room and voice activity detection that answer with a tone.

Nothing is recognised, thought or synthesised, and nobody waits to see whether the caller goes on:
the tone begins as soon as the detector says that speech has ended. Its silence is the shortest
that a recogniser of the benchmark takes for an end, `PEER_SILENCE_S`. It lasts
`PEER_TONE_S`; a caller who speaks into it cuts it off. One tone is the greeting: it can hear.
"""

import asyncio
import os

import numpy as np
from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobProcess, cli, inference, vad

SAMPLE_RATE_HZ = 24_000
INPUT_RATE_HZ = 16_000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
TONE_HZ = 440
LOUDNESS = 8_000
# As short as the SDK's own output would have to be for an interruption to be heard at once.
QUEUE_MS = 100

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


def prewarm(process: JobProcess) -> None:
    silence_s = float(os.environ["PEER_SILENCE_S"])
    process.userdata["vad"] = inference.VAD(min_silence_duration=silence_s)


server.setup_fnc = prewarm


async def play(source: rtc.AudioSource, duration_s: float) -> None:
    """A tone, frame by frame, at the pace of the source's short queue."""
    for number in range(round(duration_s * 1000 / FRAME_MS)):
        at = np.arange(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES) / SAMPLE_RATE_HZ
        tone = (LOUDNESS * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)
        await source.capture_frame(rtc.AudioFrame(tone.tobytes(), SAMPLE_RATE_HZ, 1, FRAME_SAMPLES))


async def listen(track: rtc.Track, stream: vad.VADStream) -> None:
    frames = rtc.AudioStream.from_track(
        track=track, sample_rate=INPUT_RATE_HZ, num_channels=1, frame_size_ms=FRAME_MS
    )
    async for event in frames:
        stream.push_frame(event.frame)


async def answer(stream: vad.VADStream, source: rtc.AudioSource) -> None:
    tone = asyncio.create_task(play(source, float(os.environ["PEER_TONE_S"])))
    async for event in stream:
        if event.type == vad.VADEventType.START_OF_SPEECH:
            tone.cancel()
            source.clear_queue()
        elif event.type == vad.VADEventType.END_OF_SPEECH:
            tone = asyncio.create_task(play(source, float(os.environ["PEER_TONE_S"])))


@server.rtc_session(agent_name=os.environ["PEER_AGENT_NAME"])
async def talk(ctx: JobContext) -> None:
    source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=QUEUE_MS)
    stream = ctx.proc.userdata["vad"].stream()
    tasks: list[asyncio.Task[None]] = []

    def on_track(track: rtc.Track, *_of: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            tasks.append(asyncio.create_task(listen(track, stream)))
            tasks.append(asyncio.create_task(answer(stream, source)))

    ctx.room.on("track_subscribed", on_track)
    await ctx.connect()
    await ctx.room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("tone", source),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )


if __name__ == "__main__":
    cli.run_app(server)
