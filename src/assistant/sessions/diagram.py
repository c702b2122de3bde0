"""The state diagram of docs/architecture.md, found by applying every event in every state. Pure."""

from collections.abc import Iterable
from dataclasses import fields

from assistant.sessions import events as ev
from assistant.sessions.lifecycle import apply
from assistant.sessions.record import TERMINAL, Reason, Session, State

BEGIN = "<!-- states: generated from assistant.sessions.lifecycle -->"
END = "<!-- /states -->"

_FIRST = Session(
    id="a",
    user_id="u",
    room="r",
    state=State.CREATED,
    created_at=0.0,
    agent="assistant",
    spec="{}",
    max_duration_s=1.0,
    user_join_timeout_s=1.0,
    user_return_timeout_s=1.0,
)


def examples(attempt: int) -> list[ev.Event]:
    """One event of each kind that can change a record, about the attempt `attempt`."""
    at = 1.0
    return [
        ev.Created(at=at),
        ev.Started(at=at, task_id="t"),
        ev.Admitted(at=at),
        ev.Dispatched(at=at, attempt=attempt),
        ev.Accepted(at=at, attempt=attempt, worker="w"),
        ev.Launched(at=at, attempt=attempt, worker="w", pid=1),
        ev.Claimed(at=at, attempt=attempt, worker="w", pid=1),
        ev.AgentJoined(at=at, attempt=attempt),
        ev.AgentUnseen(at=at, attempt=attempt),
        ev.AgentLost(at=at, attempt=attempt, detail="d"),
        ev.UserJoined(at=at),
        ev.UserLeft(at=at),
        ev.EndRequested(at=at, reason=Reason.USER_REQUESTED),
        ev.Closed(at=at),
        ev.Failed(at=at, reason=Reason.AGENT_LOST, detail="d"),
    ]


def _shape(session: Session) -> tuple[object, ...]:
    """What of a session decides on its way: its state, whether it had attempts, what is known."""
    known = tuple(getattr(session, field.name) is None for field in fields(session))
    return session.state, session.attempt > 0, known


def transitions() -> dict[tuple[State, State], list[str]]:
    """From state to state, and by which events, in their order.

    A new attempt leads from `dispatching` back to it.
    """
    found: dict[tuple[State, State], list[str]] = {}
    seen, reached = {_shape(_FIRST)}, [_FIRST]
    while reached:
        before = reached.pop()
        for event in examples(before.attempt):
            after = apply(before, event)
            if after.state is not before.state or after.attempt != before.attempt:
                names = found.setdefault((before.state, after.state), [])
                if event.name not in names:
                    names.append(event.name)
            if _shape(after) not in seen:
                seen.add(_shape(after))
                reached.append(after)
    order = {event.name: place for place, event in enumerate(examples(0))}
    return {edge: sorted(names, key=order.__getitem__) for edge, names in found.items()}


def mermaid() -> str:
    """The diagram, as Mermaid's `stateDiagram-v2`."""
    found, states = transitions(), list(State)
    lines = ["stateDiagram-v2", f"    [*] --> {State.CREATED}: {ev.Created.name}"]
    edges = sorted(found, key=lambda edge: (states.index(edge[0]), states.index(edge[1])))
    lines += [f"    {edge[0]} --> {edge[1]}: {', '.join(found[edge])}" for edge in edges]
    lines += [f"    {state} --> [*]" for state in states if state in TERMINAL]
    return "\n".join(lines)


def block() -> str:
    """What stands between the two markers of a document, and the markers."""
    return f"{BEGIN}\n```mermaid\n{mermaid()}\n```\n{END}"


def rewritten(document: str) -> str:
    """The document with the current diagram.

    Raises:
        ValueError: it has no markers.
    """
    before, found, rest = document.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"there is no {BEGIN} ... {END}")
    return before + block() + after


def kinds() -> Iterable[type[ev.Event]]:
    """Every kind of event that can change a record."""
    for kind in ev.Event.__subclasses__():
        if not issubclass(kind, ev.Note):
            yield kind
