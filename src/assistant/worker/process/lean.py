"""What costs CPU or memory in every process and gives a conversation nothing.

Set before anything heavy is imported; what is set in the environment already stays.
"""

import ctypes
from collections.abc import Mapping, MutableMapping

# The C library gives every thread that allocates memory a pool of its own, up to eight for each
# core, which keeps what it was given back. Few of a job's many threads allocate at the same time.
ARENAS = 2
_M_ARENA_MAX = -8  # Source: glibc's malloc.h.

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


def share_arenas(environ: Mapping[str, str]) -> None:
    """Of this process and all that are forked off it; elsewhere than in glibc nothing happens."""
    if "MALLOC_ARENA_MAX" in environ:
        return  # Which glibc itself has read when this process began.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, ARENAS)
