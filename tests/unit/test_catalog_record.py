"""`report`, `recording` and `prices` of agents.yaml: what is refused, and in which words."""

from pathlib import Path

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
    llm: {provider: groq}
    tts: {provider: inworld, voice: Ashley}
    report: {success_criteria: [It went well.], extract: {schema: {type: object, properties: {}}}}
    recording: {enabled: false, consent: We record.}
    public: {}
"""


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


def test_a_session_may_be_recorded_or_not(tmp_path: Path) -> None:
    """Whatever its agent says, but a web page cannot decide it; the consent stays the agent's."""
    catalog = load(tmp_path)
    assert not catalog.resolve(Overrides()).recording.enabled
    recording = catalog.resolve(Overrides(recording=True)).recording
    assert (recording.enabled, recording.consent) == (True, "We record.")
    with pytest.raises(OverrideNotAllowedError):
        catalog.resolve(Overrides(recording=False), public=True)


def test_an_agent_that_records_needs_a_place(tmp_path: Path) -> None:
    """Missing, it is refused at the start, not at the end of the first call."""
    text = SMALL.replace("enabled: false", "enabled: true")
    needs = required_environment(load(tmp_path, text).agents["helper"])
    (place,) = [need for need in needs if need.stage == "recording"]
    assert not place.is_met({})
    assert place.is_met({"ASSISTANT_RECORDINGS_URL": "file:///recordings"})
