"""What the commands have made of a conversation, for the agent that may have to go on. Pure."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from assistant.sessions.command import HandOver, Instruct, Mute, Order, Tell

# What a backend tells the model over a long conversation; every turn sends all of it.
MAX_FACTS = 100
MAX_FACTS_CHARS = 64_000

Side = Literal["agent", "user"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Fact(_Part):
    """Something that the model was told; `at` in Unix seconds."""

    id: str
    at: float
    text: str = Field(repr=False)


class Successor(_Part):
    """The agent that was given the conversation at `at` (Unix s); `spec` is its AgentSpec."""

    name: str
    at: float
    spec: str = Field(repr=False)


class Direction(_Part):
    """How a conversation was directed so far.

    `instructions` are by agent: they hold whenever that agent talks. `facts` are bounded, the
    oldest are forgotten first.
    """

    successor: Successor | None = None
    instructions: dict[str, str] = Field(default_factory=dict, repr=False)
    facts: tuple[Fact, ...] = ()
    agent_muted: bool = False
    user_muted: bool = False

    @property
    def muted(self) -> tuple[Side, ...]:
        """Who is not heard by the other side."""
        sides: tuple[tuple[Side, bool], ...] = (
            ("agent", self.agent_muted),
            ("user", self.user_muted),
        )
        return tuple(side for side, muted in sides if muted)

    def after(self, order: Order, *, talking: str, at: float) -> "Direction":
        """The direction once `order` is carried out; itself if that changes nothing.

        `talking` is the agent that has the conversation, `at` the time (Unix s).
        """
        match order.command:
            case Tell() if any(fact.id == order.id for fact in self.facts):
                # A job was lost between the telling and the answer.
                return self
            case Tell(text=text):
                fact = Fact(id=order.id, at=at, text=text)
                return self.model_copy(update={"facts": bounded((*self.facts, fact))})
            case Instruct(instructions=text):
                return self.model_copy(
                    update={"instructions": {**self.instructions, talking: text}}
                )
            case HandOver(agent=name, spec=spec):
                return self.model_copy(update={"successor": Successor(name=name, at=at, spec=spec)})
            case Mute(who=who, muted=muted):
                return self.model_copy(update={f"{who}_muted": muted})
            case _:
                return self


def bounded(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """The newest of the facts, as many as are kept."""
    kept: list[Fact] = []
    left = MAX_FACTS_CHARS
    for fact in reversed(tuple(facts)):
        left -= len(fact.text)
        if left < 0 or len(kept) >= MAX_FACTS:
            break
        kept.append(fact)
    return tuple(reversed(kept))
