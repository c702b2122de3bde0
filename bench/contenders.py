"""Who is compared, each in a sentence. Pure."""

import re

_VARIANT = re.compile(r" ((at|by|to) .*|dense\b.*)")

CONTENDERS = {
    "ours": (
        "this project as it ships: the service, its worker with a warm pool, in which jobs stand "
        "by that were dispatched ahead, and Redis. `ours dense` is the same with eight "
        "conversations in a process (`ASSISTANT_JOBS_PER_PROCESS`), which is not how it ships; no "
        "jobs stand by there."
    ),
    "S cold": (
        "the older design in its own terms: an HTTP start spawns one Python process a session, "
        "which runs pipecat-ai with its LiveKit transport; no process waits beforehand."
    ),
    "S pool": "the same with a pool of three processes that were started beforehand.",
    "D": (
        "stock livekit-agents: its default AgentServer and the same pipeline, with the settings "
        "that it comes with."
    ),
    "O": "openrtc: many sessions in one process, with the same pipeline.",
    "F": (
        "the floor of a start: a warm job process takes the job by the same dispatch, joins a bare "
        "room and publishes an empty track. There is no pipeline in it."
    ),
    "E": (
        "the floor of a turn: a bare room, voice activity detection, and a tone when speech ends. "
        "There is no recogniser, model or voice in it."
    ),
    "bare": "a Starlette route that answers constant JSON.",
    "fastapi": "the same API written in FastAPI.",
    "one after the other": (
        "our own page and service, but each step is over before the next begins: microphone, "
        "token, connecting, publishing the microphone, and the start."
    ),
}


def family(contender: str) -> str:
    """Whom a variant such as `ours at 8` or `ours by start request` belongs to."""
    return _VARIANT.sub("", contender)
