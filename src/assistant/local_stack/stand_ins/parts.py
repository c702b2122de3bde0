"""What the stand-ins share, and where a request finds it."""

from dataclasses import dataclass

from aiohttp import web

from assistant.local_stack.stand_ins.faults import FaultBoard
from assistant.local_stack.stand_ins.journal import Journal
from assistant.local_stack.stand_ins.recognizer import RecognizerFactory
from assistant.local_stack.stand_ins.responder import Responder
from assistant.local_stack.stand_ins.settings import StandInSettings
from assistant.local_stack.stand_ins.synthesizer import Synthesizer


@dataclass(frozen=True)
class Parts:
    """One server's parts."""

    settings: StandInSettings
    faults: FaultBoard
    journal: Journal
    recognizers: RecognizerFactory
    responder: Responder
    synthesizer: Synthesizer


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)


def cut(request: web.Request) -> None:
    """Cut the connection as a crashed server would: no goodbye, no rest."""
    if request.transport is not None:
        request.transport.abort()
