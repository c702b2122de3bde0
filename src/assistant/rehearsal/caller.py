"""A caller that needs no person: joins a room, speaks, hears, and measures at the waveform."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from livekit import rtc

from assistant.rehearsal import transcript
from assistant.rehearsal.bell import Bell
from assistant.rehearsal.errors import (
    CallerBrokenError,
    CallerDisconnectedError,
    RehearsalError,
    RoomRefusedError,
    WaitTimedOutError,
)
from assistant.rehearsal.listener import MAX_KEPT_FRAMES, Listener
from assistant.rehearsal.microphone import Microphone, Spoken
from assistant.rehearsal.presence import BUSY_STATES, AgentSeen, Presence, is_agent
from assistant.rehearsal.speech import Speech
from assistant.rehearsal.transcript import Line, Transcript, Who
from assistant.rehearsal.waveform import Sound

CHAT_TOPIC = "lk.chat"

# Loopback takes 0.1 to 0.2 s; a server across the world a few.
CONNECT_TIMEOUT_S = 10.0
DISCONNECT_TIMEOUT_S = 5.0
# How long a join that nobody wants any more is waited for, so that it can be undone.
ABANDONED_TIMEOUT_S = 5.0
# How much longer than its duration a speech may take before the machine is declared too slow.
SPEECH_GRACE_S = 10.0
# Sentences of one turn are synthesised one by one and may lie this far apart.
QUIET_S = 0.8
# The transcript's last words arrive about when the audio ends.
TRANSCRIPT_GRACE_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """The agent's turn after some moment.

    `latency_s` is from that moment to the first audible sample; `started` and `ended` are
    monotonic. `text` is the agent's words, empty when it published none.
    """

    latency_s: float
    started: float
    ended: float
    audio: Speech
    text: str


class Caller:
    """One participant with a microphone and an ear.

    All times are readings of `time.monotonic()`. Every wait raises `WaitTimedOutError` after its
    timeout and `CallerDisconnectedError` when the room is gone. `keeps_audio`: what is heard can be
    listened to again, at 6 MB a minute; without it only its times are known.
    """

    def __init__(self, url: str, token: str, *, keeps_audio: bool = True) -> None:
        self._url = url
        self._token = token
        self._room = rtc.Room()
        self._bell = Bell()
        self._microphone = Microphone()
        self._listener = Listener(self._bell, kept_frames=MAX_KEPT_FRAMES if keeps_audio else 0)
        self._transcript = Transcript(self._bell)
        self._presence = Presence(self._bell)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._left_because: str | None = None
        self._left_at: float | None = None

    async def __aenter__(self) -> Self:
        """Joins and publishes the microphone.

        Raises:
            RoomRefusedError: no such server, or it does not take the token.
        """
        self._register()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect()
                for participant in self._room.remote_participants.values():
                    self._presence.saw(participant, was_there=True)
                track = rtc.LocalAudioTrack.create_audio_track(
                    "microphone", self._microphone.source
                )
                await self._room.local_participant.publish_track(
                    track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                )
        except BaseException as error:
            # Nothing may outlive a failed or cancelled join, whatever stopped it.
            await self._leave()
            if isinstance(error, rtc.ConnectError | rtc.participant.PublishTrackError):
                raise RoomRefusedError(self._url, error.message) from error
            if isinstance(error, TimeoutError):
                raise RoomRefusedError(
                    self._url, f"no answer within {CONNECT_TIMEOUT_S:g} s"
                ) from error
            raise
        self._spawn(self._microphone.run(), "rehearsal-microphone")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    @property
    def identity(self) -> str:
        return self._room.local_participant.identity

    @property
    def room_name(self) -> str:
        return self._room.name

    @property
    def transcript(self) -> list[Line]:
        """Both sides' lines so far, by first appearance."""
        return self._transcript.lines

    def on_line(self, listener: Callable[[Line], None]) -> None:
        """Calls `listener` with every new state of a line of the transcript."""
        self._transcript.on_line = listener

    @property
    def agents(self) -> list[AgentSeen]:
        """Every agent seen, by arrival, also those that have left."""
        return self._presence.agents

    @property
    def agent_state(self) -> str | None:
        """`lk.agent.state` of the agent that came last and is still here, else None."""
        return self._presence.state

    @property
    def sounds(self) -> list[Sound]:
        """What was heard of the agent, phrase by phrase."""
        return self._listener.sounds()

    def audio_heard(self, *, since: float | None = None, until: float | None = None) -> Speech:
        """The agent's audio, all of it by default, on one timeline."""
        return Speech(self._listener.audio(since=since, until=until))

    def save_wav(self, path: Path) -> None:
        self.audio_heard().save_wav(path)

    async def say(self, speech: Speech) -> Spoken:
        """Speaks in real time and returns when all is said; cancelled, it falls silent."""
        return await self._bounded(
            self._microphone.say(speech), speech.duration_s + SPEECH_GRACE_S, "speaking"
        )

    async def type(self, text: str) -> None:
        """Sends a typed message to everybody in the room, over the topic `lk.chat`."""
        await self._room.local_participant.send_text(text, topic=CHAT_TOPIC)

    async def wait_for_agent(self, timeout_s: float) -> AgentSeen:
        """The agent that is in the room, or the next to come."""
        return await self._until(
            lambda: self._presence.here, timeout_s, "waiting for an agent to join"
        )

    async def wait_for_agent_state(self, state: str, timeout_s: float) -> None:
        """Waits until `lk.agent.state` is `state`."""
        await self._until(
            lambda: True if self.agent_state == state else None,
            timeout_s,
            f"waiting for the agent to be {state}",
        )

    async def wait_for_no_agent(self, timeout_s: float) -> float:
        """Waits until all agents seen have left, or the caller is out; returns when."""

        def gone() -> float | None:
            if self._left_at is not None:
                return self._left_at
            return self._presence.empty_since

        return await self._until(gone, timeout_s, "waiting for the agent to leave")

    async def wait_for_disconnect(self, timeout_s: float) -> tuple[str, float]:
        """LiveKit's reason for putting the caller out, such as `ROOM_DELETED`, and when."""

        def out() -> tuple[str, float] | None:
            if self._left_because is None or self._left_at is None:
                return None
            return self._left_because, self._left_at

        return await self._until(out, timeout_s, "waiting for the room to be closed")

    async def wait_for_speech(self, timeout_s: float, *, since: float | None = None) -> Sound:
        """The agent's first sound that began at or after `since`; None: from now on."""
        at = time.monotonic() if since is None else since
        return await self._until(
            lambda: self._listener.sound_after(at), timeout_s, "waiting for the agent to speak"
        )

    async def wait_for_quiet(self, timeout_s: float, *, quiet_s: float = QUIET_S) -> float:
        """Waits for the agent's turn to be over; returns when its last sound ended.

        It is over when nothing was audible for `quiet_s`, and the agent does not say by its
        state that it thinks or speaks.
        """
        called = time.monotonic()
        waiting_for = "waiting for the agent to be quiet"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._check(waiting_for)
                    last = self._listener.last_heard()
                    left_s = quiet_s - (time.monotonic() - (called if last is None else last))
                    if left_s > 0:
                        await asyncio.sleep(left_s)
                    elif self.agent_state in BUSY_STATES:
                        await self._bell.wait()
                    else:
                        return called if last is None else last
        except TimeoutError as error:
            raise WaitTimedOutError(waiting_for, timeout_s=timeout_s, seen=self._seen()) from error

    async def wait_for_silence(self, since: float, timeout_s: float, *, quiet_s: float) -> float:
        """How long after `since` the agent's sound went on before at least `quiet_s` of silence.

        With `since` the start of an interruption this is the time from interruption to silence;
        0.0 when the agent was silent already.
        """
        waiting_for = "waiting for the agent to stop speaking"
        try:
            async with asyncio.timeout(timeout_s):
                while (at := self._listener.silent_since(since, quiet_s=quiet_s)) is None:
                    self._check(waiting_for)
                    last = self._listener.last_heard() or since
                    spent_s = time.monotonic() - max(last, since)
                    await asyncio.sleep(max(quiet_s - spent_s, 0.01))
        except TimeoutError as error:
            raise WaitTimedOutError(waiting_for, timeout_s=timeout_s, seen=self._seen()) from error
        return at - since

    async def hears_reply(
        self, after: Spoken | float, *, timeout_s: float, quiet_s: float = QUIET_S
    ) -> Reply:
        """The agent's next turn, whole: from its first sound after `after` until it is quiet.

        `timeout_s` bounds the wait for the first sound, and again the turn's length.
        """
        moment = after.ended if isinstance(after, Spoken) else after
        sound = await self.wait_for_speech(timeout_s, since=moment)
        try:
            ended = await self.wait_for_quiet(timeout_s, quiet_s=quiet_s)
        except CallerDisconnectedError:
            # A farewell ends with the room.
            ended = self._listener.last_heard() or sound.ended
        await self._let_transcript_finish(since=moment)
        said = [line for line in self.lines_of("agent") if line.first_at >= moment]
        text = " ".join(line.text.strip() for line in said if line.text.strip())
        audio = self.audio_heard(since=sound.started, until=ended)
        return Reply(
            latency_s=sound.started - moment,
            started=sound.started,
            ended=ended,
            audio=replace(audio, text=text or None),
            text=text,
        )

    def lines_of(self, who: Who) -> list[Line]:
        return [line for line in self.transcript if line.who == who]

    async def wait_for_line(
        self, who: Who, predicate: Callable[[Line], bool], timeout_s: float
    ) -> Line:
        """The first line of one side, also of the past, for which the predicate holds."""
        return await self._until(
            lambda: next((line for line in self.lines_of(who) if predicate(line)), None),
            timeout_s,
            f"waiting for a line of the {who}",
        )

    async def _let_transcript_finish(self, *, since: float) -> None:
        def finished() -> bool | None:
            lines = [line for line in self.lines_of("agent") if line.first_at >= since]
            return True if lines and all(line.final for line in lines) else None

        try:
            await self._until(finished, TRANSCRIPT_GRACE_S, "waiting for the transcript")
        except (WaitTimedOutError, CallerDisconnectedError):
            # An agent may publish no transcript; the reply's text is then what came.
            return

    def _register(self) -> None:
        room = self._room
        room.on("participant_connected", self._presence.saw)
        room.on("participant_active", self._presence.saw)
        room.on("participant_disconnected", self._presence.saw_leave)
        room.on("participant_attributes_changed", self._presence.saw_attributes)
        room.on("track_subscribed", self._on_track)
        room.on("disconnected", self._on_disconnected)
        room.register_text_stream_handler(transcript.TOPIC, self._on_transcript)

    def _on_track(
        self,
        track: rtc.Track,
        _publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and is_agent(participant):
            self._spawn(self._listener.listen(track), "rehearsal-listener")

    def _on_transcript(self, reader: rtc.TextStreamReader, identity: str) -> None:
        # Transcripts are sent in the name of the participant who spoke.
        who: Who = "caller" if identity == self.identity else "agent"
        self._spawn(
            self._transcript.read(reader, who=who, identity=identity), "rehearsal-transcript"
        )

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._left_because = rtc.DisconnectReason.Name(reason)
        self._left_at = time.monotonic()
        self._bell.ring()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waits next hears of it: a caller with a dead microphone measures nothing.
            self._failure = self._failure or error
            self._bell.ring()

    async def _connect(self) -> None:
        """Joins the room; cancelled, it first waits for the answer, so that it can be left again.

        The SDK forgets a join whose wait is cancelled: the participant then stays in the room for
        as long as the process lives, and what it hears goes to an event loop that may be closed.
        """
        joining = asyncio.create_task(
            self._room.connect(self._url, self._token), name="rehearsal-connect"
        )
        try:
            await asyncio.shield(joining)
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(ABANDONED_TIMEOUT_S):
                    await asyncio.gather(joining, return_exceptions=True)
            raise

    async def _leave(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                await self._room.disconnect()
        except TimeoutError as error:
            raise RehearsalError(
                f"LiveKit did not let the caller leave within {DISCONNECT_TIMEOUT_S:g} s"
            ) from error
        finally:
            await self._microphone.source.aclose()

    def _check(self, waiting_for: str) -> None:
        if self._left_because is not None:
            raise CallerDisconnectedError(self._left_because, waiting_for=waiting_for)
        if self._failure is not None:
            raise CallerBrokenError(waiting_for=waiting_for, cause=self._failure) from self._failure

    def _seen(self) -> str:
        """The room in a few words, for messages."""
        heard = "something was heard" if self.sounds else "nothing was heard"
        return f"{self._presence.describe()}; {heard}"

    async def _until(self, found: Callable[[], T | None], timeout_s: float, doing: str) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                while (value := found()) is None:
                    self._check(doing)
                    await self._bell.wait()
                return value
        except TimeoutError as error:
            raise WaitTimedOutError(doing, timeout_s=timeout_s, seen=self._seen()) from error

    async def _bounded(self, work: Coroutine[Any, Any, T], timeout_s: float, doing: str) -> T:
        """Does some work while the room lasts."""
        task = asyncio.create_task(work, name=f"rehearsal-{doing}")
        task.add_done_callback(lambda _: self._bell.ring())
        try:
            await self._until(lambda: True if task.done() else None, timeout_s, doing)
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
