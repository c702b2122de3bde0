"""All models of one conversation: those it begins with, and those of agents that take it over."""

import asyncio
from typing import Any

from livekit.agents import AgentSession

from assistant.worker.answering.language_models import LanguageModels
from assistant.worker.hearing.recognizers import Recognizers
from assistant.worker.speaking.voices import Voices
from assistant.worker.stages import Stages


class Ensemble:
    """Lets the models know of the conversation, and the conversation of the models."""

    def __init__(self, conversation: AgentSession[Any]) -> None:
        self._conversation = conversation
        self._voices: list[Voices] = []
        self._models: list[LanguageModels] = []

    def join(self, built: Stages) -> None:
        """These models belong to it from now on."""
        for stage in built:
            if isinstance(stage.model, Recognizers):
                stage.model.follow(self._conversation)
            elif isinstance(stage.model, Voices):
                self._voices.append(stage.model)
            elif isinstance(stage.model, LanguageModels):
                self._models.append(stage.model)

    def starving_since(self) -> float | None:
        """Since when (monotonic seconds) an answer that began does not go on.

        Of a voice: since it was heard to where it is; where nobody speaks: since its last words.
        """
        makers = self._voices or self._models
        times = [maker.starving_since for maker in makers if maker.starving_since is not None]
        return min(times, default=None)

    async def aclose(self) -> None:
        await asyncio.gather(
            *(voice.aclose() for voice in self._voices),
            *(model.aclose() for model in self._models),
        )
