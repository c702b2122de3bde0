"""What costs CPU or memory in every process and gives a conversation nothing.

Set in the environment before anything heavy is imported; what is set there already stays.
"""

from collections.abc import MutableMapping

DEFAULTS = {
    # Jobs do no linear algebra, whose library would start a thread for each core.
    "OPENBLAS_NUM_THREADS": "1",
    # The SDK looks for stalls of the loop 50 times a second, on two threads, in idle processes too:
    # 0.4 s of CPU a minute in each. Set to 100, it reports stalls of 0.1 s.
    "LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": "0",
    # The SDK loads the end-of-turn model, 230 MB, wherever jobs may come, whether or not an agent
    # uses it. Here one process loads it when there is a conversation that does.
    "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
}


def set_defaults(environ: MutableMapping[str, str]) -> None:
    for name, value in DEFAULTS.items():
        environ.setdefault(name, value)
