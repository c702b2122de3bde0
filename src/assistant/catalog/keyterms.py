"""Words that the callers of one session are likely to say: names, products."""

from collections.abc import Sequence

from assistant.catalog.agent import AgentSpec


def with_keyterms(spec: AgentSpec, words: Sequence[str]) -> AgentSpec:
    """The agent, and those that it may hand over to, listening for these words too.

    A recognizer that takes none does without.
    """
    if not words:
        return spec
    fallbacks = spec.fallbacks
    changes = {
        "stt": spec.stt.expecting(words),
        "fallbacks": fallbacks.model_copy(
            update={"stt": tuple(stt.expecting(words) for stt in fallbacks.stt)}
        ),
        "team": {name: with_keyterms(one, words) for name, one in spec.team.items()},
    }
    return spec.model_copy(update=changes)
