"""The agents of one conversation: the one that begins, and those it may hand over to."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession

from assistant.catalog.agent import AgentSpec
from assistant.sessions.direction import Direction
from assistant.sessions.item import Item
from assistant.settings import VendorSettings
from assistant.worker import stages
from assistant.worker.agent import Assistant, none_made
from assistant.worker.stages import Stages
from assistant.worker.tools.allowance import Allowance
from assistant.worker.tools.calling import SdkTool
from assistant.worker.tools.toolbox import Toolbox

_TRANSFER = "transfer"


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
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`direction`: how the conversation was directed so far, None: not at all. `built` learns
        of the models of those that come by a transfer.
        """
        self._first = spec
        #: How the conversation is directed, for every agent that is built from now on.
        self.direction = direction or Direction()
        self._specs = known_agents(spec, self.direction)
        self._vendors = vendors
        self._audio = audio
        self._built = built
        self._toolbox = Toolbox(environ, Allowance(spec.tool_limits))
        self._tools: dict[str, list[SdkTool]] = {}

    async def open(self) -> None:
        """Build everybody's tools, so that a transfer waits for nothing.

        Raises:
            ToolUnusableError: a Python function cannot be imported.
        """
        for name, spec in self._specs.items():
            self._tools[name] = await self._toolbox.open(spec, self._successor)

    def begin(self, said: Sequence[Item] | None) -> Assistant:
        """The agent that talks now; `said` as in Assistant.

        After a transfer it is the one who had the conversation last.
        """
        spec = self._specs[talking_agent(self._first, said or (), self.direction)]
        # Whoever begins tells the caller what holds for the whole session.
        return self._agent(spec.model_copy(update={"recording": self._first.recording}), said=said)

    async def adopt(self, spec: AgentSpec, conversation: AgentSession[Any]) -> Assistant:
        """An agent from outside, with all those that it may hand over to, to take over now.

        Raises:
            ToolUnusableError, MissingExtraError: this worker cannot run it.
        """
        known = self._specs.get(spec.name)
        for name, one in {**spec.team, spec.name: spec}.items():
            if name not in self._specs or (name == spec.name and spec != known):
                self._tools[name] = await self._toolbox.open(one, self._successor)
                self._specs[name] = one
        return self._successor(spec.name, conversation)

    async def close(self) -> None:
        await self._toolbox.close()

    def knows(self, name: str) -> bool:
        return name in self._specs

    def _successor(self, name: str, conversation: AgentSession[Any]) -> Assistant:
        return self._agent(self._specs[name], before=conversation)

    def _agent(
        self,
        spec: AgentSpec,
        *,
        said: Sequence[Item] | None = None,
        before: AgentSession[Any] | None = None,
    ) -> Assistant:
        words = self.direction.instructions.get(spec.name, spec.instructions)
        return Assistant(
            spec.model_copy(update={"instructions": words}),
            said=said,
            before=None if before is None else before.history,
            facts=self.direction.facts,
            tools=self._tools[spec.name],
            audio=self._audio if spec.tts == self._first.tts else none_made,
            models=self._own_models(spec),
        )

    def _own_models(self, spec: AgentSpec) -> dict[str, Any]:
        """The models in which it differs from the one that began, whose are the conversation's."""
        first = self._first
        same = spec.fallbacks == first.fallbacks
        # Where both sides write, nobody's ears and voices are wanted, nor the keys for them.
        writes = first.modality == "text"
        hears, speaks = same and spec.stt == first.stt, same and spec.tts == first.tts
        own = Stages(
            stt=None if writes or hears else stages.build_stt(spec, self._vendors),
            llm=None if same and spec.llm == first.llm else stages.build_llm(spec, self._vendors),
            tts=None if writes or speaks else stages.build_tts(spec, self._vendors),
        )
        self._built(own)
        return stages.models(own)


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
        tool = item.tool
        if tool is not None and tool.name == _TRANSFER and not tool.is_error:
            name = json.loads(tool.arguments).get("agent")
            if name in known:
                return str(name)
    return None
