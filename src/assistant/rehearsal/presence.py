"""Which agents are in the room, as a participant sees it."""

import time
from dataclasses import dataclass, replace
from datetime import datetime

from livekit import rtc

from assistant.rehearsal.bell import Bell

AGENT_STATE_ATTRIBUTE = "lk.agent.state"
# While it is in one of these states the agent has the floor, though it may draw breath.
BUSY_STATES = frozenset({"thinking", "speaking"})


@dataclass(frozen=True)
class AgentSeen:
    """An agent's stay in the room, as the caller saw it.

    `joined` is the monotonic time at which the caller learned of it, `was_there` whether that
    was by joining a room with the agent in it; `left` is None while it stays. `joined_at` is
    the server's own (wall) clock, None where it does not say. `state` is `lk.agent.state`.

    Source: livekit-server tells others of a participant that publishes nothing only every
    3 s, so an agent is seen once it publishes its audio track.
    """

    identity: str
    sid: str
    joined: float
    was_there: bool
    joined_at: datetime | None
    state: str | None = None
    left: float | None = None


def is_agent(participant: rtc.Participant) -> bool:
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Presence:
    """Keeps every agent's stay; its methods are the room's event handlers."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._by_sid: dict[str, AgentSeen] = {}

    @property
    def agents(self) -> list[AgentSeen]:
        return sorted(self._by_sid.values(), key=lambda agent: agent.joined)

    @property
    def here(self) -> AgentSeen | None:
        """The agent that came last of those that are here."""
        return next((agent for agent in reversed(self.agents) if agent.left is None), None)

    @property
    def state(self) -> str | None:
        return self.here.state if self.here else None

    @property
    def empty_since(self) -> float | None:
        """When the last agent left; None: one is here, or none ever came."""
        if self.here is not None:
            return None
        return max((a.left for a in self._by_sid.values() if a.left is not None), default=None)

    def describe(self) -> str:
        stays = [
            f"{agent.identity} {'is ' + (agent.state or 'there') if agent.left is None else 'left'}"
            for agent in self.agents
        ]
        return ", ".join(stays) or "no agent came"

    def saw(self, participant: rtc.RemoteParticipant, *, was_there: bool = False) -> None:
        if not is_agent(participant) or participant.sid in self._by_sid:
            return
        self._by_sid[participant.sid] = AgentSeen(
            identity=participant.identity,
            sid=participant.sid,
            joined=time.monotonic(),
            was_there=was_there,
            joined_at=participant.joined_at,
            state=participant.attributes.get(AGENT_STATE_ATTRIBUTE),
        )
        self._bell.ring()

    def saw_leave(self, participant: rtc.RemoteParticipant) -> None:
        agent = self._by_sid.get(participant.sid)
        if agent is not None:
            self._by_sid[participant.sid] = replace(agent, left=time.monotonic())
            self._bell.ring()

    def saw_attributes(self, _changed: dict[str, str], participant: rtc.Participant) -> None:
        agent = self._by_sid.get(participant.sid)
        if agent is not None:
            state = participant.attributes.get(AGENT_STATE_ATTRIBUTE)
            self._by_sid[participant.sid] = replace(agent, state=state)
            self._bell.ring()
