"""All stand-ins in one server on one port; their paths don't collide."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from assistant.local_stack.stand_ins import (
    assemblyai,
    cartesia,
    control,
    deepgram,
    groq,
    inworld,
)
from assistant.local_stack.stand_ins.faults import FaultBoard
from assistant.local_stack.stand_ins.journal import Journal
from assistant.local_stack.stand_ins.parts import PARTS, Parts
from assistant.local_stack.stand_ins.recognizer import PocketsphinxFactory, ScriptedFactory
from assistant.local_stack.stand_ins.responder import Responder
from assistant.local_stack.stand_ins.script import load_script
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.local_stack.stand_ins.synthesizer import Synthesizer

#: A long conversation with its tools stays far below this.
MAX_BODY_BYTES = 4 << 20
#: Open conversations have no end of their own; they are cut when the server stops.
SHUTDOWN_TIMEOUT_S = 0.2


def build_app(settings: StandInSettings) -> web.Application:
    """The stand-ins as an application; it loads models and voices when it starts.

    Raises:
        ScriptError: the script of the settings is not usable.
        EngineMissingError: nothing here can speak.
    """
    script = load_script(settings.script)
    scripted = settings.stt_mode == "scripted"
    parts = Parts(
        settings=settings,
        faults=FaultBoard(),
        journal=Journal(),
        recognizers=ScriptedFactory(script.utterances) if scripted else PocketsphinxFactory(),
        responder=Responder(script.replies),
        synthesizer=Synthesizer(settings.tts_engine),
    )
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[PARTS] = parts
    app.cleanup_ctx.append(_warm)
    for module in (assemblyai, cartesia, deepgram, groq, inworld, control):
        module.add_routes(app)
    return app


async def _warm(app: web.Application) -> AsyncIterator[None]:
    parts = app[PARTS]
    try:
        await parts.recognizers.start()
        await parts.synthesizer.start()
        yield
    finally:
        await parts.recognizers.aclose()


@asynccontextmanager
async def serving(
    settings: StandInSettings, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Run the stand-ins and give their base URL, `http://host:port`; port 0 takes a free one.

    Raises:
        StandInError: they cannot run here; says why.
        OSError: the port is taken.
    """
    # A handler whose client has left has nobody to answer: it is cancelled.
    runner = web.AppRunner(
        build_app(settings),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{bound}"
    finally:
        await runner.cleanup()
