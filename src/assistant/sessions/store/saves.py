"""Changes of records on their way to save.lua: each a step of its own, the trip shared."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from assistant.sessions.events import Event
from assistant.sessions.record import Session, State
from assistant.sessions.store import codec, index, keys
from assistant.sessions.store.client import script, translated
from assistant.sessions.store.together import Together
from assistant.sessions.tally import tally

EVENTS_PER_SESSION = 2000
EVENTS_IN_ALL = 20_000
# While every replica of the service is away; at about 300 bytes an event, 30 MB.
EVENTS_IN_OUTBOX = 100_000
# The last report of a job whose session has ended comes within so long, or not at all: the time to
# leave the room, to have its words judged, and to reach Redis.
REPORT_GRACE_S = 20.0
LINES_PER_SESSION = 200
# A day, and the hour that is under way.
MINUTE_KEEP_S = 25 * 3600
# Sessions whose slot was freed last: enough for a mean, few enough to follow the time of day.
HOLDS = 50
# More than one session ends for each that begins, so that expired ones never pile up.
CLEANED_PER_WRITE = 4
# A live session's record outlives the session, however long nothing happens to it.
LIVE_KEEP_S = 86_400.0


class _Save(NamedTuple):
    """One call of save.lua."""

    keys: list[str]
    args: list[Any]


class Saves:
    """Raises StoreUnavailableError when Redis does not answer, or refuses."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        parts = map(script, ("count.lua", "index.lua", "save.lua"))
        self._script = redis.register_script("".join(parts))
        self._together: Together[_Save, str | int | Exception] = Together(self._save_all)

    async def save(
        self,
        before: Session | None,
        session: Session,
        news: Sequence[Event],
        *,
        now: float,
        next_check: float,
        behind_check: float | None,
        slots: int,
        places: int,
        keep_s: float,
    ) -> str | int:
        """Store the session as `news` left it, if nobody else changed it since `before`.

        `slots` and `places` are those that there are in all; the checks are as in
        SessionStore.record. Returns the new version, or why there is none; see save.lua.
        """
        live_s = keep_s + max(session.max_duration_s, LIVE_KEEP_S)
        keep_s = math.ceil(keep_s if session.terminal else live_s)
        more = {
            "entry": index.entry(session, expires_at=now + keep_s),
            "pid": index.active_pid(session),
            "lines": [index.line(event) for event in news],
            "tally": tally(before, session),
            "minute": keys.minute(now),
            "minute_s": MINUTE_KEEP_S,
        }
        if behind_check is not None:
            more["behind"] = behind_check
        outcome = await self._together.call(
            _Save(
                keys=[
                    keys.session(session.id),
                    keys.session_events(session.id),
                    keys.EVENTS,
                    keys.DUE,
                    keys.SLOTS,
                    keys.QUEUE,
                    keys.OUTBOX,
                    keys.session_items(session.id),
                    keys.SESSIONS,
                    keys.agent_pid(session.id),
                    keys.session_logs(session.id),
                    keys.HOLDS,
                    keys.TOTALS,
                    keys.session_report(session.id),
                    keys.REPORTS,
                    keys.session_commands(session.id),
                    keys.session_control(session.id),
                ],
                args=[
                    session.id,
                    session.version,
                    json.dumps(codec.encode(session)),
                    json.dumps([codec.encode_event(event) for event in news]),
                    next_check,
                    now,
                    int(session.holds_slot),
                    slots,
                    int(session.state is State.QUEUED),
                    places,
                    keep_s,
                    EVENTS_PER_SESSION,
                    EVENTS_IN_ALL,
                    math.ceil(live_s),
                    EVENTS_IN_OUTBOX,
                    json.dumps(more),
                    LINES_PER_SESSION,
                    HOLDS,
                    CLEANED_PER_WRITE,
                    keys.session(""),
                    REPORT_GRACE_S,
                ],
            )
        )
        if isinstance(outcome, Exception):
            with translated():
                raise outcome
        return outcome

    async def _save_all(self, saves: Sequence[_Save]) -> list[str | int | Exception]:
        """Each save is a step of its own; only the trip is shared."""
        with translated():
            try:
                return await self._tried(saves)
            except NoScriptError:
                # A new Redis, or one that was told to forget; nothing was done yet.
                await self._redis.script_load(self._script.script)
                return await self._tried(saves)

    async def _tried(self, saves: Sequence[_Save]) -> list[str | int | Exception]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for save in saves:
                pipe.evalsha(self._script.sha, len(save.keys), *save.keys, *save.args)
            outcomes = cast("list[str | int | Exception]", await pipe.execute(raise_on_error=False))
        missing = next((each for each in outcomes if isinstance(each, NoScriptError)), None)
        if missing is not None:
            raise missing
        return outcomes
