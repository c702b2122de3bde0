"""Words of an agent that are filled in for each session: `{{ user_name }}`."""

from collections.abc import Mapping

from assistant.catalog.agent import AgentSpec
from assistant.catalog.fields import VARIABLE

_FILLED = ("instructions", "greeting", "resume_sentence")


def missing(spec: AgentSpec, values: Mapping[str, object]) -> tuple[str, ...]:
    """The variables that neither `values` nor the agent's own `variables` give, sorted."""
    named = {name for field in _FILLED for name in VARIABLE.findall(getattr(spec, field) or "")}
    return tuple(sorted(named - set(values) - set(spec.variables)))


def fill(spec: AgentSpec, values: Mapping[str, object]) -> AgentSpec:
    """The agent with each variable replaced; nothing may be missing.

    A value is put in as it is: what looks like a variable inside of it stays.
    """
    known = {**spec.variables, **values}
    changes: dict[str, object] = {}
    for field in _FILLED:
        text = getattr(spec, field)
        if text is not None and VARIABLE.search(text):
            changes[field] = VARIABLE.sub(lambda match: _as_text(known[match[1]]), text)
    return spec.model_copy(update={**changes, "personal": True}) if changes else spec


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
