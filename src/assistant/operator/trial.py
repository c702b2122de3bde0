"""A trial: a real session is started, its agent awaited, and everything removed again."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable

from assistant.findings import Finding, fail, ok, warn
from assistant.operator.errors import OperatorError, ServiceRefusalError
from assistant.operator.service import Json, Service
from assistant.operator.timeline import Stage, stages_of
from assistant.sessions.verdict import verdict_of

ID_PREFIX = "doctor-"
LOOK_EVERY_S = 0.1
# Beyond the longest that a start takes with the default settings; the service gives up first.
AGENT_TIMEOUT_S = 100.0
END_TIMEOUT_S = 40.0
WEBHOOK_TIMEOUT_S = 6.0  # LiveKit tries again after 1 and 3 s, and /health is a second old.
# A vendor that cannot be reached, or does not know our key, says so within that.
VENDORS_TIMEOUT_S = 1.0
SLOW_S = 5.0
_OVER = frozenset({"ended", "failed"})


class Trial:
    """`run` may be called once; `stages` are then what the trial's session went through."""

    def __init__(self, service: Service, *, timeout_s: float = AGENT_TIMEOUT_S) -> None:
        self._service = service
        self._timeout_s = timeout_s
        self.session_id = ID_PREFIX + secrets.token_hex(8)
        self.stages: Iterable[Stage] = ()

    async def run(self) -> AsyncIterator[Finding]:
        """Start, wait, end, erase; whatever happens, what was started is ended."""
        began_at = time.time()
        try:
            # Nobody listens, so nothing is said: a greeting would cost the voice's vendor.
            await self._service.start(self.session_id, "doctor", {"greeting": ""})
        except OperatorError as error:
            yield fail("trial", str(error), "see the checks above")
            return
        try:
            yield await self._agent()
            yield await self._webhooks(began_at)
            if (failed := await self._vendors()) is not None:
                yield failed
        finally:
            left = await self._end()
        yield left

    async def _agent(self) -> Finding:
        try:
            session = await self._until({"active"} | _OVER, self._timeout_s)
        except OperatorError as error:
            return fail("trial", str(error), "see the service's log")
        self.stages = stages_of(session.get("timeline") or ())
        times = session["times"]
        if session["status"] != "active":
            verdict = verdict_of(session)
            told = f"no agent came ({session.get('reason') or session['status']}): {verdict.cause}"
            return fail("trial", told, verdict.remedy or "see the service's log")
        took_s = times["active"] - times["queued"]
        detail = f"an agent joined after {took_s:.2f} s, at attempt {session['attempt']}"
        if took_s > SLOW_S or session["attempt"] > 1:
            return warn("trial", detail, "the stages below show where the time went")
        return ok("trial", detail)

    async def _vendors(self) -> Finding | None:
        """Whether one fails; the agent connects to them before anything is said."""
        deadline = time.monotonic() + VENDORS_TIMEOUT_S
        while True:
            try:
                session = await self._service.session(self.session_id)
            except OperatorError:
                return None  # The end will say so.
            events = session.get("timeline") or ()
            failed = [event["data"] for event in events if event["name"] == "provider.failed"]
            if failed:
                break
            if time.monotonic() >= deadline or session["status"] in _OVER:
                return None
            await asyncio.sleep(LOOK_EVERY_S)
        told = [f"{each['provider']} ({each['stage']}): {each['kind']}" for each in failed]
        remedy = "--vendors asks each vendor; the worker's log has more"
        return fail("trial's vendors", "; ".join(dict.fromkeys(told)), remedy)

    async def _webhooks(self, began_at: float) -> Finding:
        """The trial's room and agent made LiveKit send some."""
        deadline = time.monotonic() + WEBHOOK_TIMEOUT_S
        while True:
            try:
                last = (await self._service.health()).get("lastWebhookAt")
            except OperatorError as error:
                return fail("webhooks", str(error), "see the service's log")
            if last is not None and last >= began_at - 1.0:
                return ok("webhooks", "LiveKit's reach the service")
            if time.monotonic() >= deadline:
                return warn(
                    "webhooks",
                    "none came to the replica that was asked",
                    "give LiveKit `webhook.urls` with the service's /livekit/webhook and "
                    "`webhook.api_key`; without them losses are noticed later",
                )
            await asyncio.sleep(LOOK_EVERY_S * 5)

    async def _end(self) -> Finding:
        remedy = f"end it: POST /api/session/end with sessionId {self.session_id}"
        try:
            await self._service.end(self.session_id)
            session = await self._until(_OVER, END_TIMEOUT_S)
            if session["status"] not in _OVER:
                return fail("trial's end", f"still {session['status']}", remedy)
            await self._service.erase(self.session_id)
        except ServiceRefusalError as error:
            if error.code == "session_not_found":
                return ok("trial's end", "nothing is left of it")
            return fail("trial's end", str(error), remedy)
        except OperatorError as error:
            return fail("trial's end", str(error), remedy)
        return ok("trial's end", "nothing is left of it")

    async def _until(self, wanted: Iterable[str], timeout_s: float) -> Json:
        """The session once its status is one of these, or as it is when the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            session = await self._service.session(self.session_id)
            if session["status"] in wanted or time.monotonic() >= deadline:
                return session
            await asyncio.sleep(LOOK_EVERY_S)
