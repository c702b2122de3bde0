"""The agent that talks: its instructions, what was said so far, and its first words."""

from collections.abc import AsyncIterator, Callable, Sequence

from livekit import rtc
from livekit.agents import NOT_GIVEN, Agent, ChatContext

from assistant.catalog.agent import AgentSpec
from assistant.sessions.item import Item


def _none_made(_text: str) -> None:
    return None


class Assistant(Agent):
    """One agent of agents.yaml in one conversation.

    `said` is what was said before it came; None: it begins the conversation, and greets. `audio`
    gives a sentence that was spoken before, None: it must be spoken now.
    """

    def __init__(
        self,
        spec: AgentSpec,
        *,
        said: Sequence[Item] | None = None,
        audio: Callable[[str], AsyncIterator[rtc.AudioFrame] | None] = _none_made,
    ) -> None:
        super().__init__(instructions=spec.instructions, chat_ctx=_context(said or ()))
        self._sentence = spec.greeting if said is None else spec.resume_sentence
        self._audio = audio
        last = said[-1] if said else None
        #: The user's last words were not answered: the one who was to answer them was lost.
        self._owes_answer = last is not None and last.role == "user"

    async def on_enter(self) -> None:
        # Runs while the room is still being joined, so the words are ready when the caller is.
        if self._sentence:
            audio = self._audio(self._sentence)
            self.session.say(self._sentence, audio=NOT_GIVEN if audio is None else audio)
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
