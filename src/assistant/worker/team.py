"""The agents of one conversation: the one that begins, and those it may hand over to."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession

from assistant.catalog.agent import AgentSpec
from assistant.sessions.direction import Direction
from assistant.sessions.item import Item
from assistant.settings import VendorSettings
from assistant.worker import stages
from assistant.worker.agent import Assistant, none_made
from assistant.worker.limits.purse import Purse
from assistant.worker.stages import Stages
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.calling import SdkTool
from assistant.worker.tools.toolbox import Toolbox


@dataclass
class _Kit:
    """The tools of one entry of agents.yaml.

    `agents` got what was there of them, and get the rest once they are `whole`: when its MCP
    servers have answered, or did not in their time.
    """

    spec: AgentSpec
    tools: list[SdkTool]
    agents: list[Assistant] = field(default_factory=list)
    is_asked_for: bool = False
    whole: asyncio.Event = field(default_factory=asyncio.Event)


class Team:
    """Builds each agent when its turn comes; all share one allowance for tools."""

    def __init__(
        self,
        spec: AgentSpec,
        vendors: VendorSettings,
        *,
        direction: Direction | None = None,
        audio: Callable[[str], AsyncIterator[rtc.AudioFrame] | None] = none_made,
        built: Callable[[Stages], None] = lambda _stages: None,
        purse: Purse | None = None,
        said: Sequence[Item] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`direction`: how the conversation was directed so far, None: not at all. `built` learns
        of the models of those that come by a transfer; `purse` is everybody's. `said`: what was
        said and done before this attempt.
        """
        self._first = spec
        #: How the conversation is directed, for every agent that is built from now on.
        self.direction = direction or Direction()
        self._specs = known_agents(spec, self.direction)
        self._vendors = vendors
        self._audio = audio
        self._built = built
        self._purse = purse
        self._toolbox = Toolbox(environ, Allowance(spec.tool_limits, said))
        self._kits: dict[str, _Kit] = {}
        self._models: dict[str, Stages] = {}

    def prepare(self) -> None:
        """Build everybody's tools but those of MCP servers, which `equip` asks.

        Raises:
            ToolUnusableError: a Python function cannot be imported.
        """
        for name, spec in self._specs.items():
            self._kits[name] = self._kit(spec)

    async def equip(self) -> None:
        """Add the tools of MCP servers, also for agents that talk already; never raises.

        Not in `prepare`, since a program takes a second to start, and a server that hangs as
        long as it may: nobody shall wait for a greeting so long. Once more after `adopt`.
        """
        kits = [kit for kit in self._kits.values() if not kit.is_asked_for]
        for kit in kits:
            kit.is_asked_for = True
        await asyncio.gather(*map(self._complete, kits))

    async def equipped(self) -> None:
        """Return once every server that was asked has answered."""
        for kit in tuple(self._kits.values()):
            await kit.whole.wait()

    def begin(self, said: Sequence[Item] | None) -> Assistant:
        """The agent that talks now; `said` as in Assistant.

        After a transfer it is the one who had the conversation last.
        """
        spec = self._specs[talking_agent(self._first, said or (), self.direction)]
        # Whoever begins tells the caller what holds for the whole session.
        first = self._first
        session_wide = {
            "record": first.record,
            "recording": first.recording,
            "redact": first.redact,
        }
        return self._agent(spec.model_copy(update=session_wide), said=said)

    def adopt(self, spec: AgentSpec) -> None:
        """Take in an agent from outside, with all those that it may hand over to.

        Raises:
            ToolUnusableError, MissingExtraError: this worker cannot run it.
        """
        known = self._specs.get(spec.name)
        new = {
            name: one
            for name, one in {**spec.team, spec.name: spec}.items()
            if name not in self._specs or (name == spec.name and spec != known)
        }
        kits = {name: self._kit(one) for name, one in new.items()}
        for name in new:
            self._models.pop(name, None)
        self._own_models(spec)
        self._specs |= new
        self._kits |= kits

    def successor(self, name: str, conversation: AgentSession[Any]) -> Assistant:
        """Whom the conversation is handed to."""
        return self._agent(self._specs[name], before=conversation)

    async def close(self) -> None:
        await self._toolbox.close()

    def _kit(self, spec: AgentSpec) -> _Kit:
        return _Kit(spec, self._toolbox.own(spec, self.successor))

    async def _complete(self, kit: _Kit) -> None:
        try:
            kit.tools += await self._toolbox.connect(kit.spec)
            for agent in kit.agents:
                if kit.tools != agent.tools:
                    await agent.update_tools(list(kit.tools))
        finally:
            kit.whole.set()

    def _agent(
        self,
        spec: AgentSpec,
        *,
        said: Sequence[Item] | None = None,
        before: AgentSession[Any] | None = None,
    ) -> Assistant:
        words = self.direction.instructions.get(spec.name, spec.instructions)
        kit = self._kits[spec.name]
        agent = Assistant(
            spec.model_copy(update={"instructions": words}),
            said=said,
            before=None if before is None else before.history,
            facts=self.direction.facts,
            tools=kit.tools,
            equipped=kit.whole,
            audio=self._audio if spec.tts == self._first.tts else none_made,
            models=stages.models(self._own_models(spec)),
            purse=self._purse,
        )
        if not kit.whole.is_set():
            kit.agents.append(agent)
        return agent

    def _own_models(self, spec: AgentSpec) -> Stages:
        """The models in which it differs from the one that began, whose are the conversation's.

        They are built once: a caller may be handed to and fro.
        """
        if spec.name in self._models:
            return self._models[spec.name]
        first = self._first
        same = spec.fallbacks == first.fallbacks
        # Where both sides write, nobody's ears and voices are wanted, nor the keys for them; who
        # only writes elsewhere has none, and uses the conversation's.
        writes = "text" in {first.modality, spec.modality}
        hears, speaks = same and spec.stt == first.stt, same and spec.tts == first.tts
        own = Stages(
            stt=None if writes or hears else stages.build_stt(spec, self._vendors),
            llm=None if same and spec.llm == first.llm else stages.build_llm(spec, self._vendors),
            tts=None if writes or speaks else stages.build_tts(spec, self._vendors),
        )
        self._models[spec.name] = own
        self._built(own)
        return own


def known_agents(first: AgentSpec, direction: Direction) -> dict[str, AgentSpec]:
    """Everybody who may have the conversation, by name; `first` is whom it began with."""
    known = {**first.team, first.name: first}
    if direction.successor is not None:
        given = AgentSpec.model_validate_json(direction.successor.spec)
        known = {**given.team, **known, given.name: given}
    return known


def talking_agent(first: AgentSpec, said: Sequence[Item], direction: Direction) -> str:
    """Who has the conversation: whom a command or a transfer gave it last."""
    known = known_agents(first, direction)
    given = direction.successor
    since = said if given is None else [item for item in said if item.at > given.at]
    return current_agent(since, known) or (first.name if given is None else given.name)


def current_agent(said: Sequence[Item], known: Mapping[str, AgentSpec]) -> str | None:
    """Who was given the conversation last; None: nobody, it is with whom it began."""
    for item in reversed(said):
        name = item.tool.transferred_to if item.tool is not None else None
        if name in known:
            return name
    return None
