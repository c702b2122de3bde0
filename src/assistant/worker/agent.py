"""The agent that talks: its instructions, what was said so far, and its first words."""

from collections.abc import Sequence

from livekit.agents import Agent, ChatContext

from assistant.catalog.agent import AgentSpec
from assistant.sessions.item import Item


class Assistant(Agent):
    """One agent of agents.yaml in one conversation.

    `said` is what was said before it came; None: it begins the conversation, and greets.
    """

    def __init__(self, spec: AgentSpec, *, said: Sequence[Item] | None = None) -> None:
        super().__init__(instructions=spec.instructions, chat_ctx=_context(said or ()))
        self._sentence = spec.greeting if said is None else spec.resume_sentence
        last = said[-1] if said else None
        #: The user's last words were not answered: the one who was to answer them was lost.
        self._owes_answer = last is not None and last.role == "user"

    async def on_enter(self) -> None:
        # Runs while the room is still being joined, so the words are ready when the caller is.
        if self._sentence:
            self.session.say(self._sentence)
        if self._owes_answer:
            self.session.generate_reply()


def _context(said: Sequence[Item]) -> ChatContext:
    context = ChatContext.empty()
    for item in said:
        context.add_message(
            role=item.role,
            content=item.text,
            id=item.id,
            interrupted=item.interrupted,
            created_at=item.at,
        )
    return context
