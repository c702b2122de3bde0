"""What a product's backend orders of a conversation that runs, or will run. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_TEXT_CHARS = 8000  # As of an item: about ten minutes of speech.


class _Command(BaseModel):
    # An older release may read what a newer one wrote.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Say(_Command):
    """The agent says `text`.

    `when` is "now": in place of what it says, and of what it was still to say; "after": behind
    that. `interruptible` false: the user cannot stop it, and it does not wait for their pause.
    """

    kind: Literal["say"] = "say"
    text: str = Field(repr=False)
    interruptible: bool = True
    when: Literal["now", "after"] = "now"


class Interrupt(_Command):
    """The agent stops what it says, and what it was still to say."""

    kind: Literal["interrupt"] = "interrupt"


class Tell(_Command):
    """The model learns `text`; `reply`: and answers."""

    kind: Literal["context"] = "context"
    text: str = Field(repr=False)
    reply: bool = False


class Instruct(_Command):
    """The agent that talks has other instructions from now on."""

    kind: Literal["instructions"] = "instructions"
    instructions: str = Field(repr=False)


class HandOver(_Command):
    """Another agent gets the conversation; `spec` is its AgentSpec as JSON."""

    kind: Literal["agent"] = "agent"
    agent: str
    spec: str = Field(repr=False)


class Mute(_Command):
    """`who` is not heard by the other side, or is heard again."""

    kind: Literal["mute"] = "mute"
    who: Literal["agent", "user"]
    muted: bool


class Unknown(_Command):
    """What only another release understands; a job can do nothing but say so."""

    kind: str = "unknown"


Command = Annotated[
    Say | Interrupt | Tell | Instruct | HandOver | Mute, Field(discriminator="kind")
]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def read(text: str) -> Command | Unknown:
    """The command that was written as JSON, by whichever release."""
    try:
        return COMMAND.validate_json(text)
    except ValidationError:
        pass
    try:
        return Unknown.model_validate_json(text)
    except ValidationError:
        return Unknown()


class Outcome(StrEnum):
    """What became of a command."""

    #: It is carried out; of words: their first sound is out.
    APPLIED = "applied"
    #: Another one took its place before it began.
    DROPPED = "dropped"
    #: The job could not do it.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """A command that waits for its job.

    `entry` is its place in the session's stream, `id` its name. `attempt`: whose agent was in the
    room when it was given; 0: none was.
    """

    entry: str
    id: str
    attempt: int
    command: Command | Unknown


def is_quiet(command: Command | Unknown) -> bool:
    """Whether it changes what the agent is, and makes nobody speak or stop."""
    match command:
        case Tell(reply=reply):
            return not reply
        case Instruct() | HandOver() | Mute():
            return True
        case _:
            return False
