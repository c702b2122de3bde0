"""Fallbacks, profiles, dead air and prompts, as agents.yaml has them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.catalog import AgentSpec, Catalog, CatalogError, Overrides, required_environment
from assistant.catalog.profiles import PROFILES

AGENT: dict[str, Any] = {
    "title": "A",
    "instructions": "Be kind.",
    "language": "de-DE",
    "stt": {"provider": "assemblyai"},
    "llm": {"provider": "groq"},
    "tts": {"provider": "inworld", "voice": "main"},
}
VOICES = {
    "main": {"provider": "inworld", "voice": "Ashley"},
    "spare": {"provider": "inworld", "voice": "Dennis", "model": "inworld-tts-2"},
}


def load(folder: Path, **changes: Any) -> Catalog:
    file = folder / "agents.yaml"
    agents = {"a": {**AGENT, **changes}}
    text = yaml.safe_dump({"version": 1, "default": "a", "voices": VOICES, "agents": agents})
    file.write_text(text, encoding="utf-8")
    return Catalog.load(file)


def test_fallbacks_are_decided_like_the_first_ones(tmp_path: Path) -> None:
    """Their voices are looked up, and the session's language reaches them."""
    catalog = load(
        tmp_path,
        fallbacks={
            "stt": [{"provider": "assemblyai", "model": "universal-3-5-pro"}],
            "tts": [{"provider": "inworld", "voice": "spare"}],
        },
    )
    spec = catalog.resolve(Overrides(language="fr-FR"))
    (stt,), (tts,) = spec.fallbacks.stt, spec.fallbacks.tts
    assert stt.model_dump()["language_codes"] == ("fr",)
    assert (tts.voice, tts.model, tts.language) == ("Dennis", "inworld-tts-2", "fr-FR")
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec


def test_keys_of_fallbacks_are_required(tmp_path: Path) -> None:
    """A worker refuses to start without the key of a vendor that may have to take over."""
    server = {"provider": "openai-compatible", "base_url": "http://llm/v1", "model": "m"}
    catalog = load(tmp_path, fallbacks={"llm": [{**server, "api_key_env": "SPARE_KEY"}]})
    needed = {name for need in required_environment(catalog.agents["a"]) for name in need.names}
    assert "SPARE_KEY" in needed
    assert "GROQ_API_KEY" in needed


@pytest.mark.parametrize("profile", list(PROFILES))
def test_a_profile_fills_in_what_is_not_set(tmp_path: Path, profile: str) -> None:
    """Values of the agent's own win over its profile's; the rest is the profile's."""
    own = {"endpointing": {"max_delay_s": 5.5}}
    spec = load(tmp_path, profile=profile, turn_handling=own).agents["a"]
    wanted = PROFILES[profile]
    handling = json.loads(spec.turn_handling.model_dump_json())
    assert handling["endpointing"]["max_delay_s"] == 5.5
    assert handling["endpointing"]["min_delay_s"] == wanted["endpointing"]["min_delay_s"]
    for name, value in wanted["interruption"].items():
        assert handling["interruption"][name] == value
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"profile": "slow"}, "agents.a.profile", "fast"),
        ({"fallbacks": {"llm": [{"provider": "grok"}]}}, "agents.a.fallbacks.llm[0]", "groq"),
        (
            {"fallbacks": {"tts": [{"provider": "inworld", "voice": "spar"}]}},
            "agents.a.fallbacks.tts[0].voice",
            "spare",
        ),
        ({"fallbacks": {"attempt_timeout_s": 0}}, "agents.a.fallbacks.attempt_timeout_s", "0.2"),
        ({"dead_air": {"after_s": 0.2}}, "agents.a.dead_air.after_s", "1"),
        ({"away": {"prompts": [""]}}, "agents.a.away.prompts[0]", "empty"),
        ({"away": {"prompt": "Hello?"}}, "agents.a.away.prompt", "prompts"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, Any], path: str, said: str) -> None:
    """The path of the value, and what is allowed."""
    with pytest.raises(CatalogError) as refused:
        load(tmp_path, **changes)
    (problem,) = refused.value.problems
    assert problem.path.startswith(path)
    assert said in str(problem)
