"""The stand-ins' command line: `python -m assistant.local_stack.stand_ins`."""

import argparse
import asyncio
import os
import signal
import sys

from assistant import log
from assistant.errors import SettingsError
from assistant.local_stack.stand_ins.errors import StandInError
from assistant.local_stack.stand_ins.server import serving
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.settings import LogSettings, read


async def run(settings: StandInSettings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, host, port) as url:
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m assistant.local_stack.stand_ins",
        description="The vendors on loopback; settings: ASSISTANT_STAND_IN_*.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free port")
    arguments = parser.parse_args()
    try:
        logs = read(LogSettings, os.environ)
        log.configure(level=logs.log_level, style=logs.log_format)
        asyncio.run(run(read(StandInSettings, os.environ), arguments.host, arguments.port))
    except (StandInError, SettingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
