"""Carries out what a product's backend orders of one conversation, in the order of the orders."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from livekit.agents import Agent, AgentSession

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.sessions import events as ev
from assistant.sessions.command import (
    Command,
    HandOver,
    Instruct,
    Interrupt,
    Mute,
    Order,
    Outcome,
    Say,
    Tell,
    Unknown,
    is_quiet,
)
from assistant.sessions.direction import Direction
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.item import Item
from assistant.sessions.store.commands import CommandReader, CommandStore
from assistant.worker.agent import Assistant, consent_owed, message_of
from assistant.worker.limits.inactivity import Inactivity
from assistant.worker.record.teller import Teller
from assistant.worker.speaking.promises import Promises
from assistant.worker.team import Team, talking_agent

RETRY_S = 0.5
# What is being said stops within 0.1 s; a voice that does not stop must not stop everything else.
STOP_TIMEOUT_S = 2.0
# A sentence of consent is heard to its end, unless nobody is there to hear it.
CONSENT_TIMEOUT_S = 30.0
# An agent has the conversation a moment after the one before fell silent.
ENTER_TIMEOUT_S = 10.0

_log = log.get(__name__)


class Control:
    """One job's part of it: `prepare` before the agents are built, then `attend`, `run`, `close`.

    A command that was given while another attempt, or no agent, was there has waited: it stops
    nobody, so that what an agent begins with is heard.
    """

    def __init__(self, store: CommandStore, reader: CommandReader, teller: Teller) -> None:
        self._store = store
        self._reader = reader
        self._teller = teller
        self._direction = Direction()
        self._position = "0-0"
        #: What was taken account of before the conversation began.
        self._early: list[tuple[Order, Outcome]] = []
        #: What is still to be carried out; the store holds no more than MAX_WAITING of them.
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        #: An interruption is among them: what is waited for is called off.
        self._interrupted = asyncio.Event()
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Whose patience ends while the user cannot be heard; they are told not to count it.
        self.silences: list[Inactivity] = []
        #: Stops what is said beside the agent's own track.
        self.hush: Callable[[], None] = lambda: None

    async def prepare(self, spec: AgentSpec, said: Sequence[Item] | None) -> Direction:
        """How the conversation is to begin, or to go on; `spec` is whom it first began with.

        Raises:
            StoreUnavailableError: Redis does not answer; nobody may begin without knowing.
        """
        session_id = self._teller.session_id
        self._direction = await self._store.direction(session_id)
        consents = consent_owed(spec, said) is not None
        for order in await self._store.waiting(session_id):
            if isinstance(order.command, Interrupt):
                # Whom it was to stop is gone, or has not said a word yet.
                mine = order.attempt == self._teller.attempt
                self._early.append((order, Outcome.APPLIED if mine else Outcome.DROPPED))
            elif not is_quiet(order.command) or (consents and _silences_agent(order)):
                break
            else:
                talking = talking_agent(spec, said or (), self._direction)
                now = time.time()
                self._direction = self._direction.after(order, talking=talking, at=now)
                self._early.append((order, Outcome.APPLIED))
            self._position = order.entry
        return self._direction

    @property
    def agent_is_muted(self) -> bool:
        return self._direction.agent_muted

    def attend(self, conversation: AgentSession[None], team: Team) -> None:
        """Before the conversation starts."""
        self._conversation = conversation
        self._team = team
        self._promises = Promises(conversation, self._begun)
        if self._direction.agent_muted:
            conversation.output.set_audio_enabled(False)
        if self._direction.user_muted:
            self._mute_user(muted=True)

    async def run(self) -> None:
        """Carry out until cancelled."""
        for order, outcome in self._early:
            await self._settle(order, outcome)
        await _entered(self._conversation.current_agent)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name="read commands")
            while True:
                await self._carry_out(await self._orders.get())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reader.close()

    async def _read(self) -> None:
        """Beside whatever is carried out, so that an interruption is seen at once."""
        while True:
            try:
                orders = await self._reader.next(self._position)
            except StoreUnavailableError:
                await asyncio.sleep(RETRY_S)
                continue
            for order in orders:
                self._position = order.entry
                self._orders.put_nowait(order)
                if isinstance(order.command, Interrupt) and order.attempt == self._teller.attempt:
                    self._interrupted.set()

    async def _carry_out(self, order: Order) -> None:
        has_waited = order.attempt != self._teller.attempt
        refused = _refused(order.command, has_waited=has_waited)
        if refused is not None:
            await self._settle(order, refused)
            return
        try:
            match order.command:
                case Say() as say:
                    await self._say(order, say, has_waited=has_waited)
                    return
                case Tell() as told:
                    await self._tell(order, told)
                    if told.reply:
                        return
                case Interrupt():
                    self._interrupted.clear()
                    await self._stop()
                case Instruct(instructions=text):
                    self._directed(order)
                    await self._conversation.current_agent.update_instructions(text)
                case HandOver() as given:
                    await self._hand_over(order, given, has_waited=has_waited)
                case Mute() as mute:
                    await self._mute(mute, has_waited=has_waited)
                    self._directed(order)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, others must be obeyed
            # Without what it says, which may hold the command's words.
            _log.warning(
                "control.failed",
                session=self._teller.session_id,
                kind=order.command.kind,
                error=type(error).__name__,
            )
            await self._settle(order, Outcome.FAILED)
            return
        await self._settle(order, Outcome.APPLIED)

    async def _say(self, order: Order, say: Say, *, has_waited: bool) -> None:
        if say.when == "now" and not has_waited:
            await self._stop()
        handle = self._conversation.say(say.text, allow_interruptions=say.interruptible)
        self._promises.follow(handle, order)

    async def _tell(self, order: Order, told: Tell) -> None:
        agent = self._conversation.current_agent
        self._directed(order)
        fact = self._direction.facts[-1]
        context = agent.chat_ctx.copy()
        if context.get_by_id(fact.id) is None:
            context.insert(message_of(fact))
            # What tools of other agents did before stays known.
            await agent.update_chat_ctx(context, exclude_invalid_function_calls=False)
        if told.reply:
            self._promises.follow(self._conversation.generate_reply(), order)

    async def _hand_over(self, order: Order, given: HandOver, *, has_waited: bool) -> None:
        spec = AgentSpec.model_validate_json(given.spec)
        self._team.adopt(spec)
        # A server that hangs keeps nobody from taking over, nor the commands behind this one.
        self._keep_task(self._team.equip(), "equip")
        if has_waited:
            await self._let_finish()
        else:
            await self._stop()
        self._directed(order)
        successor = self._team.successor(spec.name, self._conversation)
        self._conversation.update_agent(successor)
        async with asyncio.timeout(ENTER_TIMEOUT_S):
            await successor.entered.wait()

    async def _mute(self, mute: Mute, *, has_waited: bool) -> None:
        if mute.who == "user":
            self._mute_user(muted=mute.muted)
            return
        if mute.muted and has_waited:
            await self._let_finish()
        if mute.muted:
            # The record has what was heard: so it ends before the voice is taken away.
            await self._stop()
        self._conversation.output.set_audio_enabled(not mute.muted)

    def _mute_user(self, *, muted: bool) -> None:
        self._conversation.input.set_audio_enabled(not muted)
        for silence in self.silences:
            silence.changed("muted", busy=muted)

    async def _let_finish(self) -> None:
        """Wait for the words that were ordered before, unless they are interrupted."""
        said = asyncio.create_task(self._promises.kept(), name="said")
        interrupted = asyncio.create_task(self._interrupted.wait(), name="interrupted")
        try:
            await asyncio.wait((said, interrupted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            said.cancel()
            interrupted.cancel()
        if self._interrupted.is_set():
            await self._stop()

    async def _stop(self) -> None:
        """Nothing is heard of the agent any more, once what the law wants said is said."""
        agent = self._conversation.current_agent
        consent = agent.consent if isinstance(agent, Assistant) else None
        if consent is not None and not consent.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONSENT_TIMEOUT_S):
                    await consent.wait_for_playout()
        self.hush()
        if isinstance(agent, Assistant):
            agent.hush()
        stopped = self._conversation.interrupt(force=True)
        await asyncio.wait((stopped,), timeout=STOP_TIMEOUT_S)

    def _directed(self, order: Order) -> None:
        talking = self._conversation.current_agent.id
        self._direction = self._direction.after(order, talking=talking, at=time.time())
        self._team.direction = self._direction

    def _begun(self, order: Order, outcome: Outcome) -> None:
        """Words are heard, or never will be."""
        self._keep_task(self._settle(order, outcome), "settle command")

    def _keep_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, order: Order, outcome: Outcome) -> None:
        _log.info(
            "control.settled",
            session=self._teller.session_id,
            kind=order.command.kind,
            outcome=outcome,
        )
        if isinstance(order.command, HandOver) and outcome is Outcome.APPLIED:
            attempt, agent = self._teller.attempt, order.command.agent
            self._teller.tell(ev.AgentTransferred(at=time.time(), attempt=attempt, agent=agent))
        # One after the other, so that an older direction never replaces a newer one.
        async with self._writing:
            while True:
                try:
                    await self._store.settle(
                        self._teller.session_id,
                        self._teller.attempt,
                        order,
                        outcome,
                        self._direction,
                    )
                except StoreUnavailableError:
                    await asyncio.sleep(RETRY_S)
                else:
                    return


def _refused(command: Command | Unknown, *, has_waited: bool) -> Outcome | None:
    """What becomes of a command that is not carried out; None: it is."""
    if isinstance(command, Unknown):
        return Outcome.FAILED
    return Outcome.DROPPED if isinstance(command, Interrupt) and has_waited else None


def _silences_agent(order: Order) -> bool:
    return isinstance(order.command, Mute) and order.command.who == "agent"


async def _entered(agent: Agent) -> None:
    if isinstance(agent, Assistant):
        await agent.entered.wait()
