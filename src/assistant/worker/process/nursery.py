"""Where job processes come from: multiprocessing's fork server, forked instead of started anew.

Python starts its fork server as a new program that imports everything once more, which takes as
long as the worker's own start and holds the same 100 MB again. Forked off the worker, before that
has a thread or a loop, it shares them. Should it die, Python starts one in its own way.

Source: CPython 3.11 to 3.13, `multiprocessing/forkserver.py`.
"""

import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from itertools import pairwise
from multiprocessing import forkserver, resource_tracker, util
from typing import Any, NoReturn

# What exec would do to it: these are the worker's alone.
_SIGNALS = (signal.SIGHUP, signal.SIGINT)

_log = logging.getLogger(__name__)


def prepare(modules: Sequence[str]) -> bool:
    """Import `modules` here, the last of which freezes them, and fork the server.

    False: something here runs threads, so that the server must be started anew, as it will be.
    """
    # The warm-up ignores it for the processes that are forked. This one is to end by it, also if
    # it comes now: what is blocked is kept, even where it would be ignored.
    terminate = signal.getsignal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        for module in modules:
            importlib.import_module(module)
    finally:
        signal.signal(signal.SIGTERM, terminate)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    if sys.platform != "linux" or len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
        return False
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    resource_tracker.ensure_running()
    spawn = util.spawnv_passfds
    util.spawnv_passfds = _fork  # type: ignore[assignment]
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = spawn
    return True


def _fork(_program: Any, arguments: Sequence[str], kept: Sequence[int]) -> int:
    """As `spawnv_passfds`, without a new program; returns the child's process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _serve(arguments[-1], kept)
    return pid


def _serve(command: str, kept: Sequence[int]) -> NoReturn:
    code = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _close_all_but({0, 1, 2, *kept})
        # Held while the fork happens, by whom there is no more; jobs may start processes too.
        forkserver._forkserver._lock = threading.Lock()  # type: ignore[attr-defined]  # noqa: SLF001
        # Job processes send what they log to the worker.
        logging.getLogger().handlers.clear()
        exec(command, {})  # noqa: S102 - Python's own, for `python -c`
        code = 0
    except SystemExit:
        code = 0  # Nobody needs it any more.
    except BaseException:  # noqa: BLE001 - there is nobody above to show it
        traceback.print_exc()
    finally:
        os._exit(code)


def _close_all_but(kept: set[int]) -> None:
    bounds = [-1, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in pairwise(bounds):
        if before + 1 < after:  # An empty range would be taken for all there are.
            os.closerange(before + 1, after)
