"""What is said about the mistakes that people make: its place, the value, and what is allowed.

Beside those of test_catalog_load.py, whose file these are made in.
"""

from pathlib import Path

import pytest

from tests.unit.test_catalog_load import changed, said

HTTP = "type: http, name: x, description: d"
TYPES = "['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']"

#: A key that the agent `helper` is given, and what is said under `agents.helper.`.
OF_AN_AGENT: list[tuple[str, str]] = [
    ("tools: [date_time]", "tools[0]: expected a mapping, got 'date_time'"),
    ("tools: {type: date_time}", "tools: expected a list, got a mapping"),
    (
        "tools: [{type: date_time, time_zone: Europe/Berln}]",
        (
            "tools[0].time_zone: is not a time zone such as 'Europe/Berlin' or 'UTC', got "
            "'Europe/Berln'"
        ),
    ),
    (
        "tools: [{type: date_time}, {type: date_time}]",
        "tools: two tools are called 'date_time'; the model knows them by their names alone",
    ),
    ("tools: [{type: transfer, to: {}}]", "tools[0].to: must have at least 1 entry, got 0"),
    (
        "tools: [{type: transfer, to: {helpr: x}}]",
        (
            "tools[0].to.helpr: no agent of that name in this file; there are no others; did "
            "you mean 'helper'?"
        ),
    ),
    (
        "tools: [{type: transfer, to: {helper: x}}]",
        "tools[0].to.helper: an agent cannot hand over to itself; there are no others",
    ),
    ("tools: [{type: transfer, to: [helper]}]", "tools[0].to: expected a mapping, got a list"),
    (
        "tools: [{type: python, function: my_tool}]",
        (
            "tools[0].function: must be a function's import path such as "
            "'my_package.orders:find_order', got 'my_tool'"
        ),
    ),
    (
        "tools: [{type: python, function: 'a:b', timeout_s: 90}]",
        "tools[0].timeout_s: must be at most 60, got 90",
    ),
    ("tools: [{type: python, function: 'a:b', filler: ''}]", "tools[0].filler: must not be empty"),
    (
        "tools: [{type: http, name: 'x y', description: d, url: 'http://h/'}]",
        (
            "tools[0].name: must be 1 to 64 letters, digits, '_' and '-', beginning with a "
            "letter or '_', got 'x y'"
        ),
    ),
    (
        f"tools: [{{{HTTP}, url: 'ftp://h/'}}]",
        (
            "tools[0].url: must begin with http://, https:// or ${NAME}; its host holds no "
            "argument, got 'ftp://h/'"
        ),
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/a b'}}]",
        "tools[0].url: must not hold spaces or '#', got 'http://h/a b'",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/{{id}}'}}]",
        "tools[0].url: '{id}' must be a required property of parameters",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', method: FETCH}}]",
        (
            "tools[0].method: expected one of 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', got "
            "'FETCH'; did you mean 'PATCH'?"
        ),
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', headers: {{'a b': c}}}}]",
        "tools[0].headers.'a b': is not a header's name: letters, digits and '-'",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', headers: {{A: 5}}}}]",
        "tools[0].headers.A: expected text, got 5; put quotes around text",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', errors: {{'99': c}}}}]",
        "tools[0].errors.99: must be a status such as '404', 'timeout' or 'unreachable', got '99'",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', errors: {{404: c}}}}]",
        "tools[0].errors: keys must be text: put quotes around '404'",
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', parameters: {{type: array}}}}]",
        (
            "tools[0].parameters: must be of type 'object', got 'array'; its properties are "
            "the arguments"
        ),
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', parameters: {{type: objekt}}}}]",
        (
            "tools[0].parameters: is not a JSON Schema (draft 2020-12): at type: 'objekt' is "
            f"not one of {TYPES}"
        ),
    ),
    (
        f"tools: [{{{HTTP}, url: 'http://h/', max_response_bytes: 100000}}]",
        "tools[0].max_response_bytes: must be at most 65536, got 100000",
    ),
    ("tools: [{type: mcp, allow: [x]}]", "tools[0].url: needs either url or command, got neither"),
    (
        "tools: [{type: mcp, url: 'http://h', command: [a], allow: [x]}]",
        "tools[0].url: needs either url or command, got both",
    ),
    (
        "tools: [{type: mcp, url: 'http://h', allow: []}]",
        "tools[0].allow: must have at least 1 entry, got 0",
    ),
    (
        "tools: [{type: mcp, command: [x], env: ['my key'], allow: [x]}]",
        (
            "tools[0].env[0]: must be the name of an environment variable, such as "
            "'MY_API_KEY', got 'my key'"
        ),
    ),
    (
        "tools: [{type: mcp, url: 'h', allow: [x]}]",
        "tools[0].url: must be a URL that begins with http:// or https://, got 'h'",
    ),
    ("tool_limits: {max_calls: 5000}", "tool_limits.max_calls: must be at most 1000, got 5000"),
    (
        "variables: {'user name': x}",
        (
            "variables.'user name': must be 1 to 64 letters, digits and '_', not beginning "
            "with a digit, got 'user name'"
        ),
    ),
    ("variables: {x: 5}", "variables.x: expected text, got 5; put quotes around text"),
    ("variables: [x]", "variables: expected a mapping, got a list"),
    ("modality: video", "modality: expected one of 'voice', 'text', got 'video'"),
    ("profile: slow", "profile: expected one of 'fast', 'patient', got 'slow'"),
    ("fallbacks: {llm: {provider: groq}}", "fallbacks.llm: expected a list, got a mapping"),
    (
        "fallbacks: {llm: [{provider: groq},{provider: groq},{provider: groq},{provider: groq}]}",
        "fallbacks.llm: must have at most 3 entries, got 4",
    ),
    (
        "fallbacks: {attempt_timeout_s: 0.1}",
        "fallbacks.attempt_timeout_s: must be at least 0.2, got 0.1",
    ),
    (
        "fallbacks: {tts: [{provider: inworld}]}",
        "fallbacks.tts[0].voice: missing key; expected text",
    ),
    ("dead_air: {after_s: 0.5}", "dead_air.after_s: must be at least 1, got 0.5"),
    ("dead_air: {after_s: 4s}", "dead_air.after_s: expected a number, got '4s'"),
    (
        "away: {prompts: ['a','b','c','d','e','f']}",
        "away.prompts: must have at most 5 entries, got 6",
    ),
    ("limits: {max_duration_s: 0}", "limits.max_duration_s: must be greater than 0, got 0"),
    (
        "limits: {max_duration_s: 1000000}",
        "limits.max_duration_s: must be at most 86400, got 1000000",
    ),
    ("limits: 5", "limits: expected a mapping, got 5"),
    (
        "report: {extract: {schema: {type: string}}}",
        "report.extract.schema: must describe an object: `type: object` with `properties`",
    ),
    (
        "report: {extract: {schema: {type: object, properties: {a: {type: strng}}}}}",
        (
            "report.extract.schema: is not a JSON Schema (draft 2020-12): at "
            f"properties/a/type: 'strng' is not one of {TYPES}"
        ),
    ),
    (
        "report: {extract: {schema: {type: object, properties: {a: {$ref: '#'}}}}}",
        "report.extract.schema: must not use $ref; write what it stands for in its place",
    ),
    ("report: {success_criteria: ['']}", "report.success_criteria[0]: must not be blank"),
    ("recording: true", "recording: expected a mapping, got true"),
    ("recording: {consent: ' '}", "recording.consent: must not be blank"),
    ("greeting: [Hello]", "greeting: expected text, got a list"),
]
#: A change of the file, and what is said.
OF_THE_FILE: list[tuple[str, str, str]] = [
    (
        "version: 1\n",
        "version: 1\nprices: {currency: usd, models: {groq: {m: {characters: 1}}}}\n",
        (
            "prices.currency: must be the three capital letters of a currency, such as "
            "'USD', got 'usd'"
        ),
    ),
    (
        "version: 1\n",
        "version: 1\nprices: {currency: USD, models: {groq: {m: {}}}}\n",
        "prices.models.groq.m: must have a price: of tokens, of an audio_minute or of characters",
    ),
    (
        "version: 1\n",
        "version: 1\nprices: {currency: USD, models: {groq: {m: {input_tokens: 1}}}}\n",
        "prices.models.groq.m.output_tokens: is missing: tokens have a price in both directions",
    ),
    (
        "version: 1\n",
        "version: 1\nprices: {currency: USD, models: {groq: {}}}\n",
        "prices.models.groq: must have at least 1 entry, got 0",
    ),
    ("version: 1\n", "version: '1'\n", "version: expected 1, got '1'"),
    ("version: 1\n", "", "version: missing key; expected 1"),
    (
        "keyterms: [Harbour]",
        "voice_focus_threshold: 0.5",
        (
            "agents.helper.stt.voice_focus_threshold: has no effect without voice_focus: "
            "'near-field' or 'far-field'"
        ),
    ),
    (
        "keyterms: [Harbour]",
        "base_url: 'https://x'",
        (
            "agents.helper.stt.base_url: must be a URL that begins with ws:// or wss://, got "
            "'https://x'"
        ),
    ),
    (
        "keyterms: [Harbour]",
        "sample_rate: 44100",
        "agents.helper.stt.sample_rate: expected one of 8000, 16000, 24000, 48000, got 44100",
    ),
    (
        "keyterms: [Harbour]",
        "min_turn_silence_s: 2, max_turn_silence_s: 1",
        "agents.helper.stt.min_turn_silence_s: must be at most max_turn_silence_s (1), got 2",
    ),
    (
        "keyterms: [Harbour]",
        "timeout_s: 0",
        "agents.helper.stt.timeout_s: must be greater than 0, got 0",
    ),
    (
        "keyterms: [Harbour]",
        "language_codes: en",
        "agents.helper.stt.language_codes: expected a list, got 'en'",
    ),
    (
        "keyterms: [Harbour]",
        "model: universal-streaming-english}\n    language: de\n    vad: {provider: inference",
        (
            "agents.helper.language: stt.model 'universal-streaming-english' understands "
            "English only, got 'de'"
        ),
    ),
    ("voice: her}", "voice: ''}", "agents.helper.tts.voice: must not be empty"),
    (
        "voice: her}",
        "voice: her, speaking_rate: 3}",
        "agents.helper.tts.speaking_rate: must be at most 1.5, got 3",
    ),
    (
        "provider: groq\n",
        "provider: openai-compatible\n      model: m\n      base_url: localhost:8000\n",
        (
            "agents.helper.llm.base_url: must be a URL that begins with http:// or https://, "
            "got 'localhost:8000'"
        ),
    ),
    (
        "turn_detection: v1-mini",
        "turn_detection: {model: v1-mini, unlikely_threshold: 0.3, unlikely_thresholds: {en: 0.3}}",
        (
            "agents.helper.turn_detection.unlikely_thresholds: cannot stand beside "
            "unlikely_threshold; keep one of them"
        ),
    ),
    (
        "turn_detection: v1-mini",
        "turn_detection: {model: v1-mini, unlikely_threshold: 0}",
        "agents.helper.turn_detection.unlikely_threshold: must be greater than 0, got 0",
    ),
    (
        "endpointing: {min_delay_s: 0.3, max_delay_s: 2}",
        "interruption: {backchannel_boundary_s: [1]}",
        (
            "agents.helper.turn_handling.interruption.backchannel_boundary_s: must have at "
            "least 2 entries, got 1"
        ),
    ),
    (
        "endpointing: {min_delay_s: 0.3, max_delay_s: 2}",
        "interruption: {backchannel_boundary_s: 1}",
        "agents.helper.turn_handling.interruption.backchannel_boundary_s: expected a list, got 1",
    ),
    (
        "endpointing: {min_delay_s: 0.3, max_delay_s: 2}",
        "interruption: {mode: none}",
        (
            "agents.helper.turn_handling.interruption.mode: expected one of 'vad', "
            "'adaptive', got 'none'"
        ),
    ),
    (
        "fields: [language]",
        "fields: language",
        "agents.helper.public.fields: expected a list, got 'language'",
    ),
    (
        "  her: {provider: inworld, voice: Ashley}",
        "  Her!: {provider: inworld, voice: Ashley}",
        (
            "voices.'Her!': must be 1 to 64 of a-z, 0-9, '-' and '_', beginning with a "
            "letter or a digit, got 'Her!'"
        ),
    ),
    (
        "  her: {provider: inworld, voice: Ashley}",
        "  her: Ashley",
        "voices.her: expected a mapping, got 'Ashley'",
    ),
    ("agents:\n  helper:", "agents:\n  - helper:", "agents: expected a mapping, got a list"),
    ("default: helper\n", "", "default: missing key; expected text"),
    (
        "    stt: {provider: assemblyai, keyterms: [Harbour]}\n",
        "",
        "agents.helper.stt: missing key; expected a mapping",
    ),
]


@pytest.mark.parametrize(("written", "message"), OF_AN_AGENT, ids=lambda value: str(value)[:50])
def test_a_mistake_in_an_agent(tmp_path: Path, written: str, message: str) -> None:
    """One line of the file, one problem: path, value, reason and what may stand there."""
    content = changed(("    title: Helper\n", f"    title: Helper\n    {written}\n"))
    assert said(tmp_path, content) == [f"agents.yaml:9: agents.helper.{message}"]


@pytest.mark.parametrize(("right", "wrong", "message"), OF_THE_FILE, ids=lambda value: value[:50])
def test_a_mistake_in_the_file(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    """The same for what stands around and inside of agents."""
    (problem,) = said(tmp_path, changed((right, wrong)))
    file, line, rest = problem.split(":", 2)
    assert (file, line.isdecimal(), rest.strip()) == ("agents.yaml", True, message)


def test_no_secret_is_repeated(tmp_path: Path) -> None:
    """What may be a key or a password stands in no message, however wrong its place."""
    secret = "canary-7b2f"
    for written in (
        f"tools: [{{{HTTP}, url: 'ftp://u:{secret}@h/'}}]",
        f"tools: [{{{HTTP}, url: 'http://h/ ?key={secret}'}}]",
        f"tools: [{{{HTTP}, url: 'http://h/', headers: {{Authorization: ['{secret}']}}}}]",
        f"llm_api_key: {secret}",
    ):
        content = changed(("    title: Helper\n", f"    title: Helper\n    {written}\n"))
        assert secret not in "".join(said(tmp_path, content))
