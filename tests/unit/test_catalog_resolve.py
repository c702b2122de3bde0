"""What a session's `config` may change, and who may change it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assistant.catalog import (
    AgentSpec,
    Catalog,
    OverrideNotAllowedError,
    Overrides,
    UnknownAgentError,
    UnknownVoiceError,
    explain,
    required_environment,
)

FIELDS = [field.alias or name for name, field in Overrides.model_fields.items()]

FILE = """\
version: 1
default: helper
voices:
  her: {provider: inworld, voice: Ashley}
  german: {provider: inworld, voice: Johanna, model: inworld-tts-2, language: de-DE}
agents:
  helper:
    title: Helper
    instructions: Help.
    greeting: Hello.
    stt: {provider: assemblyai}
    llm: {provider: groq}
    tts: {provider: inworld, voice: german, model: inworld-tts-1.5-mini}
    limits: {max_duration_s: 600}
    public: {voices: [her], fields: [metadata, maxDuration]}
  internal:
    title: Internal
    instructions: Keep secrets.
    language: en-GB
    stt: {provider: assemblyai, model: universal-streaming-english}
    llm: {provider: openai-compatible, base_url: 'http://127.0.0.1:8000/v1', model: m,
          api_key_env: HOUSE_KEY}
    tts: {provider: inworld, voice: Elizabeth}
  open:
    title: Open
    instructions: Talk.
    stt: {provider: assemblyai, language_codes: [en, de]}
    llm: {provider: openai-compatible, base_url: 'http://127.0.0.1:8000/v1', model: m}
    tts: {provider: inworld, voice: her}
    public: {listed: false}
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    file: Path = tmp_path_factory.mktemp("catalog") / "agents.yaml"
    file.write_text(FILE)
    return Catalog.load(file)


def wishes(**config: Any) -> Overrides:
    return Overrides.model_validate_json(json.dumps(config))


def refusal(config: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str, str | None]]:
    with pytest.raises(ValidationError) as caught:
        Overrides.model_validate_json(json.dumps(config))
    found = explain(Overrides, caught.value)
    return [(finding.path, finding.message, finding.suggestion) for finding in found]


def test_no_wishes_give_the_default_agent(catalog: Catalog) -> None:
    """An empty `config` gets the default agent exactly as the catalog has it."""
    assert catalog.resolve(Overrides()) == catalog.agents["helper"]
    assert catalog.resolve(Overrides(), public=True) == catalog.agents["helper"]


def test_every_wish_is_granted_to_a_secret_key(catalog: Catalog) -> None:
    """Agent, voice, prompt, greeting, language and time all take effect."""
    spec = catalog.resolve(
        wishes(
            agent="open",
            voice="german",
            systemPrompt="Be brief.",
            greeting="Hallo.",
            language="fr-FR",
            maxDuration=86_400,
            metadata={"user_name": "Ada"},
        )
    )
    assert (spec.name, spec.voice, spec.tts.voice, spec.tts.model) == (
        "open",
        "german",
        "Johanna",
        "inworld-tts-2",
    )
    assert (spec.instructions, spec.greeting) == ("Be brief.", "Hallo.")
    assert (spec.language, spec.tts.language, spec.stt.model_dump()["language_codes"]) == (
        "fr-FR",
        "fr-FR",
        ("fr",),
    )
    assert spec.limits.max_duration_s == 86_400
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_voice_replaces_all_of_the_alias_before(catalog: Catalog) -> None:
    """Nothing of the agent's own alias, its model or language, clings to another voice."""
    own = catalog.agents["helper"]
    assert (own.tts.voice, own.tts.model, own.tts.language) == ("Johanna", "inworld-tts-2", "de-DE")
    assert (own.language, own.stt.model_dump()["language_codes"]) == ("en-US", ("en",))
    other = catalog.resolve(wishes(voice="her"))
    assert (other.tts.voice, other.tts.model, other.tts.language) == (
        "Ashley",
        "inworld-tts-1.5-mini",
        "en-US",
    )


def test_vendor_names_that_the_file_uses_are_voices_too(catalog: Catalog) -> None:
    """A voice may be asked for by its vendor's name if the file mentions it."""
    assert catalog.resolve(wishes(voice="Elizabeth")).tts.voice == "Elizabeth"
    assert catalog.known_voices("inworld") == ("Ashley", "Elizabeth", "Johanna", "german", "her")


@pytest.mark.parametrize("greeting", ["", "  ", None])
def test_no_greeting(catalog: Catalog, greeting: str | None) -> None:
    """An empty or null greeting means none; an absent one means the agent's own."""
    assert catalog.resolve(wishes(greeting=greeting)).greeting is None
    assert catalog.resolve(wishes(voice="her")).greeting == "Hello."


def test_null_is_absent_elsewhere(catalog: Catalog) -> None:
    """Null in any other field changes nothing, also for a publishable key."""
    config = dict.fromkeys(
        ["agent", "voice", "systemPrompt", "language", "metadata", "maxDuration"]
    )
    assert wishes(**config).given() == ()
    assert catalog.resolve(wishes(**config), public=True) == catalog.agents["helper"]


def test_time_limits(catalog: Catalog) -> None:
    """`maxDuration` goes before the agent's limit, which goes before the session time-out."""
    resolve = catalog.resolve
    assert resolve(wishes(), session_timeout_s=1800).limits.max_duration_s == 600
    assert resolve(wishes(agent="open"), session_timeout_s=1800).limits.max_duration_s == 1800
    assert resolve(wishes(agent="open")).limits.max_duration_s is None
    assert resolve(wishes(maxDuration=0.5), public=True).limits.max_duration_s == 0.5
    with pytest.raises(OverrideNotAllowedError) as caught:
        resolve(wishes(maxDuration=601), public=True)
    assert str(caught.value) == (
        "'maxDuration' is refused by agent 'helper': "
        "a publishable key may not exceed 600 s, got 601 s"
    )


def test_unknown_agent(catalog: Catalog) -> None:
    """An unknown agent is refused with the names that this caller may use, and no others."""
    with pytest.raises(UnknownAgentError) as caught:
        catalog.resolve(wishes(agent="nobody"))
    assert caught.value.known == ("helper", "internal", "open")
    assert (caught.value.field, caught.value.name) == ("agent", "nobody")
    for name in ("nobody", "internal"):
        with pytest.raises(UnknownAgentError) as caught:
            catalog.resolve(wishes(agent=name), public=True)
        assert str(caught.value) == f"unknown agent '{name}'; known agents: helper, open"


def test_unknown_voice(catalog: Catalog) -> None:
    """An unknown voice, or one outside the agent's public list, is refused with the choice."""
    with pytest.raises(UnknownVoiceError) as caught:
        catalog.resolve(wishes(voice="nobody"))
    assert caught.value.known == catalog.known_voices("inworld")
    with pytest.raises(UnknownVoiceError) as caught:
        catalog.resolve(wishes(voice="german"), public=True)
    assert str(caught.value) == "unknown voice 'german'; known voices: her"


@pytest.mark.parametrize(
    ("agent", "field", "value"),
    [
        ("helper", "systemPrompt", "Be evil."),
        ("helper", "greeting", None),
        ("helper", "language", "de"),
        ("open", "voice", "her"),
        ("open", "metadata", {}),
        ("open", "keyterms", ["Emma"]),
        ("open", "maxDuration", 1),
    ],
)
def test_public_choices(catalog: Catalog, agent: str, field: str, value: Any) -> None:
    """A publishable key may set only what the agent's `public` section names."""
    with pytest.raises(OverrideNotAllowedError) as caught:
        catalog.resolve(wishes(agent=agent, **{field: value}), public=True)
    assert (caught.value.field, caught.value.agent) == (field, agent)
    choice = {"helper": "maxDuration, metadata, voice", "open": "nothing"}[agent]
    assert f"a publishable key may choose {choice} of this agent" in str(caught.value)
    assert catalog.resolve(wishes(agent=agent, **{field: value})).name == agent


def test_public_may_set_what_is_named(catalog: Catalog) -> None:
    """Voices and fields of the `public` section are open to a publishable key."""
    config = wishes(voice="her", metadata={"a": 1}, maxDuration=60)
    assert catalog.resolve(config, public=True).voice == "her"


def test_language_that_the_model_cannot_hear(catalog: Catalog) -> None:
    """A language outside the speech model is refused before a session starts."""
    assert (
        catalog.resolve(wishes(agent="internal", language="en")).stt.model_dump()["language_codes"]
        is None
    )
    with pytest.raises(OverrideNotAllowedError) as caught:
        catalog.resolve(wishes(agent="internal", language="de"))
    assert str(caught.value) == (
        "'language' is refused by agent 'internal': "
        "stt.model 'universal-streaming-english' understands English only, got 'de'"
    )


def test_words_of_one_session(tmp_path: Path) -> None:
    """They go before the agent's own, to all who may have the conversation and can be told any.

    They are bounded as the vendor's; a recognizer that takes none is refused by name.
    """
    transfer = "    tools: [{type: transfer, to: {open: Always., internal: Never.}}]\n"
    stt = (
        "    stt: {provider: assemblyai, keyterms: [Harbour, Emma]}\n"
        "    fallbacks: {stt: [{provider: deepgram, keyterms: [Pier]},"
        " {provider: deepgram, model: nova-2}]}\n"
    )
    text = FILE.replace("    stt: {provider: assemblyai}\n", stt + transfer, 1)
    old = "{provider: assemblyai, model: universal-streaming-english}"
    text = text.replace(old, "{provider: deepgram, model: nova-2}")
    (tmp_path / "agents.yaml").write_text(text, encoding="utf-8")
    catalog = Catalog.load(tmp_path / "agents.yaml")
    assert catalog.resolve(wishes(keyterms=[])) == catalog.resolve(wishes())

    spec = catalog.resolve(wishes(keyterms=["Emma", "Zoë"]))
    first, *others = (spec.stt, *spec.fallbacks.stt)
    assert first.keyterms == ("Emma", "Zoë", "Harbour")
    assert [stt.keyterms for stt in others] == [("Emma", "Zoë", "Pier"), ()]
    assert spec.team["open"].stt.keyterms == ("Emma", "Zoë")
    assert spec.team["internal"].stt.keyterms == ()
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec

    many = [f"word {n}" for n in range(99)]
    assert catalog.resolve(wishes(keyterms=many)).stt.keyterms == (*many, "Harbour")
    with pytest.raises(OverrideNotAllowedError) as caught:
        catalog.resolve(wishes(agent="internal", keyterms=["Emma"]))
    assert str(caught.value) == (
        "'keyterms' is refused by agent 'internal': its recognizer, deepgram nova-2, takes none"
    )


def test_listed_agents(catalog: Catalog) -> None:
    """The talk page is offered the listed agents alone."""
    (listed,) = catalog.listed()
    assert (listed.name, listed.title, listed.voices, listed.default) == (
        "helper",
        "Helper",
        ("her",),
        True,
    )


def test_required_environment(catalog: Catalog) -> None:
    """Each vendor's key is asked for by name; blank ones count as missing."""
    stt, llm, tts = required_environment(catalog.agents["internal"])
    assert stt.names == ("ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY")
    assert (llm.names, tts.names) == (("HOUSE_KEY",), ("INWORLD_API_KEY",))
    assert stt.is_met({"ASSEMBLY_API_KEY": "k"})
    assert not stt.is_met({"ASSEMBLYAI_API_KEY": " "})
    assert str(llm) == "HOUSE_KEY must be set: agents.internal.llm uses openai-compatible"
    stages = [need.stage for need in required_environment(catalog.agents["open"])]
    assert stages == ["stt", "tts"]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (
            {"prompt": "x"},
            (("prompt",), f"unknown key; allowed: {', '.join(sorted(FIELDS))}", None),
        ),
        ({"system_prompt": "x"}, (("system_prompt",), "unknown key", "systemPrompt")),
        ({"systemPrompt": " "}, (("systemPrompt",), "must not be empty", None)),
        ({"systemPrompt": "a\0"}, (("systemPrompt",), "must not contain NUL", None)),
        (
            {"systemPrompt": "é" * 8193},
            (("systemPrompt",), "must be at most 16384 bytes of UTF-8, got 16386", None),
        ),
        ({"voice": 7}, (("voice",), "expected text, got 7", None)),
        ({"keyterms": "Emma"}, (("keyterms",), "expected a list, got 'Emma'", None)),
        (
            {"keyterms": ["x" * 51]},
            (("keyterms", 0), "must be at most 50 characters, got 51", None),
        ),
        (
            {"keyterms": ["x"] * 101},
            (("keyterms",), "must have at most 100 entries, got 101", None),
        ),
        ({"maxDuration": 0}, (("maxDuration",), "must be greater than 0, got 0", None)),
        ({"maxDuration": "60"}, (("maxDuration",), "expected a number, got '60'", None)),
        ({"maxDuration": True}, (("maxDuration",), "expected a number, got true", None)),
        ({"maxDuration": 86_401}, (("maxDuration",), "must be at most 86400, got 86401", None)),
        (
            {"metadata": [1]},
            (("metadata",), "must be an object of text, numbers, true or false, got a list", None),
        ),
        (
            {"metadata": {"a": None}},
            (("metadata", "a"), "must be text, a number, true or false, got null", None),
        ),
        ({"metadata": {"a": "\0"}}, (("metadata", "a"), "must not contain NUL", None)),
        (
            {"metadata": {"a": 10**20}},
            (
                ("metadata", "a"),
                "must be a finite number of at most 9007199254740992, got 100000000000000000000",
                None,
            ),
        ),
        (
            {"metadata": {"a": "x" * 1025}},
            (("metadata", "a"), "must be at most 1024 characters, got 1025", None),
        ),
        (
            {"metadata": {"": 1}},
            (("metadata",), "keys must be text of 1 to 64 characters, got ''", None),
        ),
        (
            {"metadata": {str(n): 1 for n in range(33)}},
            (("metadata",), "must have at most 32 entries, got 33", None),
        ),
        (
            {"metadata": {str(n): "x" * 1000 for n in range(9)}},
            (("metadata",), "must be at most 8192 bytes as JSON, got 9064", None),
        ),
    ],
)
def test_wrong_config(config: dict[str, Any], found: tuple[Any, ...]) -> None:
    """Every kind of wrong `config` is refused with its path, the reason and what is allowed."""
    assert refusal(config) == [found]


def test_lone_surrogates_in_python_values() -> None:
    """Text that has no UTF-8 is refused although Python can hold it."""
    for config in ({"systemPrompt": "\ud800"}, {"metadata": {"a": "\ud800"}}):
        with pytest.raises(ValidationError):
            Overrides.model_validate(config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(config=st.dictionaries(st.sampled_from([*FIELDS, "other"]), JSON, max_size=4))
def test_any_config_is_taken_or_explained(config: dict[str, Any]) -> None:
    """Arbitrary JSON in `config` is valid, or each mistake has a path that begins with its key."""
    try:
        overrides = Overrides.model_validate_json(json.dumps(config))
    except ValidationError as error:
        for finding in explain(Overrides, error):
            assert finding.path[0] in config
            assert finding.message
    else:
        assert set(overrides.given()) <= set(config)
