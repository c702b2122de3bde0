"""F: the floor of a start: a warm job process that joins and publishes an empty audio track."""

import os

from livekit import rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext, cli

SAMPLE_RATE_HZ = 24_000

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
async def join(ctx: JobContext) -> None:
    source = rtc.AudioSource(SAMPLE_RATE_HZ, 1)
    await ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    await ctx.room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("empty", source),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )


if __name__ == "__main__":
    cli.run_app(server)
