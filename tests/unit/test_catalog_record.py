"""`report`, `recording` and `prices` of agents.yaml: what is refused, and in which words."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.catalog import Catalog, CatalogError, OverrideNotAllowedError, Overrides
from assistant.catalog.environment import required_environment

SMALL = """\
version: 1
default: helper
prices: {currency: EUR, models: {groq: {llama: {input_tokens: 1.0, output_tokens: 2.0}}}}
agents:
  helper:
    title: Helper
    instructions: Help.
    stt: {provider: assemblyai}
    llm: {provider: groq, model: llama}
    tts: {provider: inworld, voice: Ashley}
    report: {success_criteria: [It went well.], extract: {schema: {type: object, properties: {}}}}
    recording: {consent: We record.}
    public: {fields: [record, maxTokens, maxCost]}
    budget: {max_tokens: 1000}
"""


LLAMA = "groq: {llama: {input_tokens: 1.0, output_tokens: 2.0}}"
STT = "assemblyai: {universal-3-6-pro: {audio_minute: 1.0}}"
TTS = "inworld: {inworld-tts-1.5-max: {characters: 1.0}}"
PRICED = SMALL.replace(LLAMA, f"{LLAMA}, {STT}, {TTS}")
OTHER = """\
  other:
    title: Other
    instructions: Help.
    stt: {provider: assemblyai}
    llm: {provider: groq, model: llama}
    tts: {provider: inworld, voice: Ashley}
    fallbacks: {llm: [{provider: groq, model: other}]}
"""


def wishes(**config: Any) -> Overrides:
    return Overrides.model_validate_json(json.dumps(config))


def load(tmp_path: Path, text: str = SMALL) -> Catalog:
    file = tmp_path / "agents.yaml"
    file.write_text(text)
    return Catalog.load(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("It went well.", '" "', "report.success_criteria[0]: must not be blank"),
        (
            "type: object, properties: {}",
            "type: string",
            "report.extract.schema: must describe an object: `type: object` with `properties`",
        ),
        (
            "properties: {}",
            "properties: {a: {$ref: 'http://x'}}",
            "report.extract.schema: must not use $ref",
        ),
        (
            "properties: {}",
            "properties: {a: {type: text}}",
            "report.extract.schema: is not a JSON Schema (draft 2020-12): at properties/a/type",
        ),
        ("We record.", '" "', "recording.consent: must not be blank"),
        ("EUR", "euro", "prices.currency"),
        (", output_tokens: 2.0", "", "output_tokens: is missing: tokens have a price in both"),
        ("input_tokens: 1.0, output_tokens: 2.0", "", "llama: must have a price"),
        ("output_tokens: 2.0", "output_tokens: -2.0", "prices.models.groq.llama.output_tokens"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """By path, with what is allowed."""
    assert SMALL.count(old) == 1
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, SMALL.replace(old, new))
    assert said in str(caught.value)


def test_a_session_may_leave_more_or_less(tmp_path: Path) -> None:
    """Whatever its agent says; a web page may ask for less alone. The consent stays the agent's."""
    catalog = load(tmp_path)
    assert catalog.resolve(Overrides()).record == "text"
    spec = catalog.resolve(wishes(record="audio"))
    assert (spec.record, spec.recording.consent) == ("audio", "We record.")
    assert catalog.resolve(wishes(record="none"), public=True).record == "none"
    with pytest.raises(OverrideNotAllowedError) as caught:
        catalog.resolve(wishes(record="audio"), public=True)
    assert "may not record more than 'text'" in str(caught.value)


def test_a_page_may_only_lower_a_budget(tmp_path: Path) -> None:
    """As with time; what the agent does not bound, it may bound."""
    catalog = load(tmp_path, PRICED)
    assert catalog.resolve(wishes(maxTokens=5000)).budget.max_tokens == 5000
    lower = catalog.resolve(wishes(maxTokens=10, maxCost=0.5), public=True).budget
    assert (lower.max_tokens, lower.max_cost) == (10, 0.5)
    with pytest.raises(OverrideNotAllowedError) as caught:
        catalog.resolve(wishes(maxTokens=1001), public=True)
    assert "'maxTokens' is refused by agent 'helper': a publishable key may not exceed 1000" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (LLAMA, "agents.helper.stt has no price: add prices.models.assemblyai.universal-3-6-pro"),
        (
            f"{LLAMA}, {STT}",
            "agents.helper.tts has no price: add prices.models.inworld.",
        ),
        (
            "groq: {llama: {audio_minute: 1.0}}",
            "agents.helper.llm has no price: add prices.models.groq.llama",
        ),
    ],
)
def test_money_without_a_price_is_refused(tmp_path: Path, prices: str, said: str) -> None:
    """At the file's reading, by path and with what to add; and where a session asks for it."""
    written = SMALL.replace(LLAMA, prices)
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, written.replace("max_tokens: 1000", "max_cost: 1.0"))
    assert f"agents.helper.budget.max_cost: {said}" in str(caught.value)
    with pytest.raises(OverrideNotAllowedError) as refused:
        load(tmp_path, written).resolve(wishes(maxCost=1.0))
    assert "which has no price in agents.yaml" in str(refused.value)


def test_whoever_may_be_handed_the_session_needs_a_price_too(tmp_path: Path) -> None:
    """A budget is the session's; fallbacks count as well."""
    text = PRICED.replace("max_tokens: 1000", "max_cost: 1.0")
    assert load(tmp_path, text).agents["helper"].budget.max_cost == 1.0
    other = text.replace(
        "    budget", "    tools: [{type: transfer, to: {other: Always.}}]\n    budget"
    )
    other = other.replace("agents:\n", "agents:\n" + OTHER)
    with pytest.raises(CatalogError) as caught:
        load(tmp_path, other)
    assert "agents.other.fallbacks.llm[0] has no price" in str(caught.value)


def test_an_agent_that_records_needs_a_place(tmp_path: Path) -> None:
    """Missing, it is refused at the start, not at the end of the first call."""
    text = SMALL + "    record: audio\n"
    needs = required_environment(load(tmp_path, text).agents["helper"])
    (place,) = [need for need in needs if need.stage == "recording"]
    assert not place.is_met({})
    assert place.is_met({"ASSISTANT_RECORDINGS_URL": "file:///recordings"})
