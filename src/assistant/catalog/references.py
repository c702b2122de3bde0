"""Names in agents.yaml that must lead somewhere.

Looks at the plain values, not at the models, so that these mistakes are reported together with
those that keep the models from being built.
"""

from collections.abc import Iterator
from typing import Any

from assistant.catalog.document import KeyPath
from assistant.catalog.explain import Finding, nearest
from assistant.catalog.fields import shown

# How alike a voice must be to an alias to be taken for a misspelt one. 'Ashley' beside an alias
# 'ashley' is 0.83 and fine; 'inworld-male-9' beside 'inworld-male-1' is 0.93 and is not.
_MISSPELT = 0.85


def check_references(data: dict[str, Any]) -> Iterator[Finding]:
    """Every name that leads nowhere; what has the wrong type is left to the models."""
    agents, voices = _mapping(data.get("agents")), _mapping(data.get("voices"))
    default = data.get("default")
    if isinstance(default, str) and agents and default not in agents:
        names = ", ".join(sorted(agents))
        suggestion = nearest(default, agents)
        message = f"no agent of that name in this file; it has {names}"
        yield Finding(("default",), message, suggestion)
    for name, agent in agents.items():
        yield from _check_voices(("agents", name), _mapping(agent), voices)
        yield from _check_transfers(("agents", name), _mapping(agent), agents)


def _check_voices(
    path: KeyPath, agent: dict[str, Any], voices: dict[str, Any]
) -> Iterator[Finding]:
    main = _mapping(agent.get("tts"))
    own, provider = main.get("voice"), main.get("provider")
    fallbacks = _mapping(agent.get("fallbacks")).get("tts")
    speaking: list[tuple[KeyPath, dict[str, Any]]] = [(("tts", "voice"), main)]
    for index, fallback in enumerate(fallbacks if isinstance(fallbacks, list) else []):
        speaking.append((("fallbacks", "tts", index, "voice"), _mapping(fallback)))
    for part, tts in speaking:
        name = tts.get("voice")
        if isinstance(name, str) and name not in voices:
            alias = nearest(name, voices, likeness=_MISSPELT)
            if alias is not None:
                yield Finding((*path, *part), f"{shown(name)} is not in voices", alias)
        yield from _check_provider((*path, *part), name, tts.get("provider"), voices)
    chosen = _mapping(agent.get("public")).get("voices")
    for index, voice in enumerate(chosen if isinstance(chosen, list) else []):
        place = (*path, "public", "voices", index)
        if isinstance(voice, str) and voice not in voices and voice != own:
            known = ", ".join(sorted({*voices, *([own] if isinstance(own, str) else [])}))
            message = f"{shown(voice)} is neither in voices nor the agent's own; there are {known}"
            yield Finding(place, message, nearest(voice, voices))
        yield from _check_provider(place, voice, provider, voices)


def _check_provider(
    place: KeyPath, voice: Any, provider: Any, voices: dict[str, Any]
) -> Iterator[Finding]:
    """A voice of one vendor means nothing to another."""
    of = _mapping(voices.get(voice)).get("provider") if isinstance(voice, str) else None
    if isinstance(of, str) and isinstance(provider, str) and of != provider:
        yield Finding(place, f"{shown(voice)} is a voice of {of}, the agent's vendor is {provider}")


def _check_transfers(
    path: KeyPath, agent: dict[str, Any], agents: dict[str, Any]
) -> Iterator[Finding]:
    tools = agent.get("tools")
    others = ", ".join(sorted(set(agents) - {path[-1]})) or "no others"
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        for name in _mapping(_mapping(tool).get("to")):
            place = (*path, "tools", index, "to", name)
            if name == path[-1]:
                yield Finding(place, f"an agent cannot hand over to itself; there are {others}")
            elif name not in agents:
                message = f"no agent of that name in this file; there are {others}"
                yield Finding(place, message, nearest(name, agents))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
