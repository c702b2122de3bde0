"""AgentSpec as data: its JSON, its schema, and its agreement with the plugins' constructors."""

import inspect
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, MinLen
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from livekit.agents.inference import VAD, TurnDetector
from livekit.agents.voice import turn
from livekit.plugins import assemblyai, cartesia, deepgram, groq, inworld, openai, silero
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from assistant.catalog import AgentSpec, Catalog, json_schema
from assistant.catalog.fields import Frozen
from assistant.catalog.providers import (
    AssemblyAIOptions,
    CartesiaOptions,
    DeepgramOptions,
    GroqOptions,
    InworldOptions,
    OpenAICompatibleOptions,
)
from assistant.catalog.turns import (
    Endpointing,
    InferenceVadOptions,
    Interruption,
    PreemptiveGeneration,
    SileroVadOptions,
    UserTurnLimit,
)
from tests.timing import scaled

ROOT = Path(__file__).parents[2]


# Values of fields that code checks, and of the one that holds agents in its turn.
WRITTEN: dict[str, list[Any]] = {
    "url": ["http://shop.example/orders"],
    "parameters": [{"type": "object", "properties": {"number": {"type": "string"}}}],
    "headers": [{}, {"Authorization": "Bearer ${SHOP_KEY}"}],
    "time_zone": ["UTC"],
    "team": [{}],
    "extra_body": [{"chat_template_kwargs": {"enable_thinking": False}}],
}


def constraints(hint: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """A type without Annotated, and everything that was said about it."""
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        for item in more:
            metadata = metadata + (item.metadata if isinstance(item, FieldInfo) else [item])
    return hint, metadata


def values(hint: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """JSON values that a type of the catalog takes, cross-checks between fields aside."""
    hint, metadata = constraints(hint, metadata)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of(*(values(member, metadata) for member in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        said = {type(item): item for item in metadata}
        least = said[MinLen].min_length if MinLen in said else 0
        return st.lists(values(arguments[0], []), min_size=least, max_size=max(least, 3))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(*(values(item, []) for item in arguments), max_size=3)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return objects(hint)
    return scalars(hint, metadata)


def scalars(hint: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    said = {type(item): item for item in metadata}
    low = said[Ge].ge if Ge in said else said[Gt].gt if Gt in said else None
    high = said[Le].le if Le in said else None
    pattern = next((item.pattern for item in metadata if getattr(item, "pattern", None)), None)
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True)
    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    by_type: dict[Any, st.SearchStrategy[Any]] = {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(low, high),
        float: st.floats(low, high, exclude_min=Gt in said),
        str: text,
    }
    return by_type[hint]


def objects(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    needed: dict[str, st.SearchStrategy[Any]] = {}
    others: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        if name == "base_url":  # URLs are checked by code that no strategy can follow
            url = "wss://127.0.0.1:1/a" if model is AssemblyAIOptions else "http://127.0.0.1:1/v1"
            strategy: st.SearchStrategy[Any] = st.just(url)
        elif name == "json_schema":  # a language of its own
            schema = {"type": "object", "properties": {"name": {"type": "string"}}}
            strategy = st.just(schema)
        elif name in WRITTEN:
            strategy = st.sampled_from(WRITTEN[name])
        else:
            strategy = values(field.annotation, list(field.metadata))
        (needed if field.is_required() else others)[field.alias or name] = strategy
    return st.fixed_dictionaries(needed, optional=others)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(written=values(AgentSpec, []))
def test_round_trip(written: dict[str, Any]) -> None:
    """Whatever spec is valid comes back equal from its own JSON, and dumps the same again."""
    try:
        spec = AgentSpec.model_validate_json(json.dumps(written))
    except ValidationError:
        assume(False)  # the checks between fields
        raise
    text = spec.model_dump_json()
    again = AgentSpec.model_validate_json(text)
    assert again == spec
    assert again.model_dump_json() == text


@pytest.mark.parametrize("name", ["assistant", "concierge", "storyteller"])
def test_shipped_specs_round_trip(name: str) -> None:
    """The shipped agents survive the session record, in little space."""
    spec = Catalog.load(ROOT / "agents.yaml").agents[name]
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec
    assert len(spec.model_dump_json()) < 16 * 1024


def test_specs_are_frozen() -> None:
    """A resolved agent cannot be changed in place."""
    spec = Catalog.load(ROOT / "agents.yaml").agents["assistant"]
    with pytest.raises(ValidationError):
        spec.title = "Other"  # type: ignore[misc]


def test_schema_describes_every_key() -> None:
    """The JSON Schema is the same at every call, and every key in it has a description."""
    schema = json_schema()
    assert json.dumps(schema) == json.dumps(json_schema())
    owners = {"AgentsFile": schema, **schema["$defs"]}
    nested = {"endpointing", "interruption", "preemptive_generation", "user_turn_limit"}
    bare = [
        f"{owner}.{key}"
        for owner, model in owners.items()
        for key, about in model.get("properties", {}).items()
        if key not in nested and not about.get("description")
    ]
    assert bare == []
    names = ["english", "multilingual", "stt", "v1-mini", "vad"]
    about = schema["$defs"]["AgentSettings"]["properties"]["turn_detection"]
    shorthand = next(option["enum"] for option in about["anyOf"] if "enum" in option)
    assert sorted(shorthand) == names


def test_catalog_is_light() -> None:
    """Importing the catalog brings in neither LiveKit nor an HTTP or Redis library."""
    heavy = ["livekit", "aiohttp", "starlette", "redis", "openai", "httpx"]
    program = (
        f"import sys, assistant.catalog\nprint([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "src")},
        timeout=scaled(30),
    )
    assert done.stdout.strip() == "[]"


# Our name -> the plugin's, where they are not the same; None: not the constructor's.
COMMON = {"provider": None, "timeout_s": None, "max_retries": None}
RENAMED: dict[type[Frozen], dict[str, str | None]] = {
    AssemblyAIOptions: {
        "keyterms": "keyterms_prompt",
        "buffer_s": "buffer_size_seconds",
        "forward_chat_context": None,
    },
    CartesiaOptions: {},
    DeepgramOptions: {
        "endpointing_s": "endpointing_ms",
        "utterance_end_s": "utterance_end_ms",
        "keyterms": "keyterm",
        "speaker_labels": "enable_diarization",
    },
    GroqOptions: {},
    OpenAICompatibleOptions: {"api_key_env": None},
    InworldOptions: {"max_buffer_delay_s": "max_buffer_delay_ms"},
    InferenceVadOptions: {},
    SileroVadOptions: {},
}
CONSTRUCTORS: dict[type[Frozen], Any] = {
    AssemblyAIOptions: assemblyai.STT.__init__,
    CartesiaOptions: cartesia.TTS.__init__,
    DeepgramOptions: deepgram.STT.__init__,
    GroqOptions: groq.LLM.__init__,
    OpenAICompatibleOptions: openai.LLM.__init__,
    InworldOptions: inworld.TTS.__init__,
    InferenceVadOptions: VAD.__init__,
    SileroVadOptions: silero.VAD.load,
}


@pytest.mark.parametrize("options", CONSTRUCTORS, ids=lambda options: options.__name__)
def test_options_are_the_plugins(options: type[Frozen]) -> None:
    """Every option has a parameter in the plugin that is installed, and the same default."""
    parameters = inspect.signature(CONSTRUCTORS[options]).parameters
    for name, field in options.model_fields.items():
        theirs = {**COMMON, **RENAMED[options]}.get(name, name.removesuffix("_s"))
        if theirs is None:
            continue
        assert theirs in parameters, f"{options.__name__}.{name}"
        default = parameters[theirs].default
        if theirs.endswith("_ms") and isinstance(default, int):
            default /= 1000
        simple = isinstance(default, str | int | float) and not field.is_required()
        if simple and field.default is not None:
            assert field.default == default, f"{options.__name__}.{name}"


def test_models_are_the_plugins() -> None:
    """The speech models that may be chosen are the plugin's, but for the deprecated one."""
    theirs = get_args(
        inspect.signature(assemblyai.STT.__init__, eval_str=True).parameters["model"].annotation
    )
    ours = get_args(AssemblyAIOptions.model_fields["model"].annotation)
    assert set(theirs) - set(ours) == {"u3-pro"}
    assert set(ours) <= set(theirs)


def test_turn_handling_is_the_sdks() -> None:
    """Our turn handling has the SDK's options, no more and no fewer, and its defaults but for what
    was measured to be better.
    """
    measured = {
        "min_duration": 0.1,
        "false_interruption_timeout": 1.5,
        "preemptive_tts": True,
    }
    pairs: list[tuple[type[Frozen], Any, set[str]]] = [
        (Endpointing, turn._ENDPOINTING_DEFAULTS, {"min_delay", "max_delay"}),
        (Interruption, turn._INTERRUPTION_DEFAULTS, {"mode", "aec_warmup"}),
        (PreemptiveGeneration, turn._PREEMPTIVE_GENERATION_DEFAULTS, set()),
        (UserTurnLimit, turn._USER_TURN_LIMIT_DEFAULTS, set()),
    ]
    for model, theirs, ours_alone in pairs:
        ours = {
            name.removesuffix("_s"): field.default
            for name, field in model.model_fields.items()
            if name.removesuffix("_s") not in ours_alone
        }
        expected = {
            name: measured.get(name, value)
            for name, value in theirs.items()
            if name not in ours_alone
        }
        assert ours == expected, model.__name__
    assert "unlikely_threshold" in inspect.signature(TurnDetector.__init__).parameters
