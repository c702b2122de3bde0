"""The agent that talks: its instructions, and its first words."""

from livekit.agents import Agent

from assistant.catalog.agent import AgentSpec


class Assistant(Agent):
    """One agent of agents.yaml in one conversation.

    `greets`: whether it speaks first; not so when it takes over a conversation under way.
    """

    def __init__(self, spec: AgentSpec, *, greets: bool) -> None:
        super().__init__(instructions=spec.instructions)
        self._greeting = spec.greeting if greets else None

    async def on_enter(self) -> None:
        # Runs while the room is still being joined, so the words are ready when the caller is.
        if self._greeting:
            self.session.say(self._greeting)
