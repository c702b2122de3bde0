"""Live control: what a backend orders of a conversation."""

from starlette.requests import Request
from starlette.responses import Response

from assistant.sessions.command import Command, Instruct, Interrupt, Mute, Say, Tell
from token_service.answers import CommandAnswer
from token_service.auth import Authenticator, Caller
from token_service.bodies import (
    AgentBody,
    ContextBody,
    InstructionsBody,
    InterruptBody,
    MuteBody,
    SayBody,
    read_model,
)
from token_service.idempotency import HEADER
from token_service.live_control import LiveControl
from token_service.routes.context import answer, caller_of


class ControlRoutes:
    """For secret keys alone."""

    def __init__(self, control: LiveControl, authenticator: Authenticator) -> None:
        self._control = control
        self._authenticator = authenticator

    async def say(self, request: Request) -> Response:
        caller = self._backend(request)
        body = await read_model(request, SayBody)
        say = Say(text=body.text, when=body.when, interruptible=body.interruptible)
        return await self._give(caller, request, say)

    async def interrupt(self, request: Request) -> Response:
        caller = self._backend(request)
        await read_model(request, InterruptBody)
        return await self._give(caller, request, Interrupt())

    async def context(self, request: Request) -> Response:
        caller = self._backend(request)
        body = await read_model(request, ContextBody)
        return await self._give(caller, request, Tell(text=body.text, reply=body.reply))

    async def instructions(self, request: Request) -> Response:
        caller = self._backend(request)
        body = await read_model(request, InstructionsBody)
        return await self._give(caller, request, Instruct(instructions=body.instructions))

    async def agent(self, request: Request) -> Response:
        caller = self._backend(request)
        body = await read_model(request, AgentBody)
        given = await self._control.successor(request.path_params["session_id"], body.agent)
        return await self._give(caller, request, given)

    async def mute(self, request: Request) -> Response:
        caller = self._backend(request)
        body = await read_model(request, MuteBody)
        return await self._give(caller, request, Mute(who=body.who, muted=body.muted))

    def _backend(self, request: Request) -> Caller:
        caller = caller_of(request, self._authenticator)
        caller.require_secret()
        return caller

    async def _give(self, caller: Caller, request: Request, command: Command) -> Response:
        command_id, applied = await self._control.give(
            caller,
            request.path_params["session_id"],
            command,
            repeat_key=request.headers.get(HEADER),
        )
        status = "applied" if applied else "queued"
        return answer(CommandAnswer(command_id=command_id, status=status))
