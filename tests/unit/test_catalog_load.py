"""Reading agents.yaml: what is in the shipped file, and what is said about every mistake."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.catalog import Catalog, CatalogError, ListedAgent, Problem
from assistant.catalog.document import MAX_FILE_BYTES

SHIPPED = Path(__file__).parents[2] / "agents.yaml"

# A whole file in few lines, so that the lines in the table below can be counted.
SMALL = """\
version: 1
default: helper
voices:
  her: {provider: inworld, voice: Ashley}
  his: {provider: inworld, voice: Dennis}
agents:
  helper:
    title: Helper
    instructions: Help.
    stt: {provider: assemblyai, keyterms: [Harbour]}
    llm:
      provider: groq
      temperature: 0.5
    tts: {provider: inworld, voice: her}
    turn_detection: v1-mini
    turn_handling:
      endpointing: {min_delay_s: 0.3, max_delay_s: 2}
    public: {voices: [her], fields: [language]}
"""


def refused(tmp_path: Path, content: str | bytes) -> CatalogError:
    file = tmp_path / "agents.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CatalogError) as caught:
        Catalog.load(file)
    return caught.value


def said(tmp_path: Path, content: str | bytes) -> list[str]:
    text = str(refused(tmp_path, content))
    return [line.replace(f"{tmp_path}{os.sep}", "") for line in text.splitlines()]


def changed(*changes: tuple[str, str]) -> str:
    text = SMALL
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_shipped_file_is_valid() -> None:
    """The agents.yaml of the repository loads, and its default agent greets in Ashley's voice."""
    catalog = Catalog.load(SHIPPED)
    assert catalog.default == "assistant"
    assert list(catalog.agents) == ["assistant", "concierge", "storyteller"]
    spec = catalog.agents["assistant"]
    assert (spec.voice, spec.tts.voice) == ("inworld-female-1", "Ashley")
    assert spec.greeting == "Hello! I am your voice assistant. How can I help you?"
    assert catalog.agents["storyteller"].turn_detection.model == "vad"


def test_small_file_is_valid(tmp_path: Path) -> None:
    """The file that the mistakes below are made in has none itself; its voices are looked up."""
    file = tmp_path / "agents.yaml"
    file.write_text(SMALL)
    catalog = Catalog.load(str(file))
    spec = catalog.agents["helper"]
    assert (spec.name, spec.voice, spec.tts.voice) == ("helper", "her", "Ashley")
    assert (spec.language, spec.tts.language, spec.stt.model_dump()["language_codes"]) == (
        "en-US",
        "en-US",
        ("en",),
    )
    assert catalog.known_voices("inworld") == ("Ashley", "Dennis", "her", "his")
    assert catalog.listed() == (
        ListedAgent("helper", "Helper", "en-US", ("her",), voice="her", default=True),
    )
    # Its own voice is nothing that a page may choose, and is not told to pages.
    file.write_text(SMALL.replace("[her]", "[his]"))
    (listed,) = Catalog.load(str(file)).listed()
    assert (listed.voices, listed.voice) == (("his",), None)


DETECTORS = "'english', 'multilingual', 'stt', 'v1-mini', 'vad'"
STEERABLE = "u3-rt-pro, u3-rt-pro-beta-1, universal-3-5-pro, universal-3-6-pro"
NAME_RULE = "1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or a digit"

MISTAKES: list[tuple[tuple[str, str], list[str]]] = [
    (
        ("instructions: Help.", "instruction: Help."),
        [
            "7: agents.helper.instructions: missing key; expected text",
            "9: agents.helper.instruction: unknown key; did you mean 'instructions'?",
        ],
    ),
    (
        ("keyterms: [", "modle: x, keyterms: ["),
        ["10: agents.helper.stt.modle: unknown key; did you mean 'model'?"],
    ),
    (
        ("      temperature: 0.5\n", "      temperature: 0.5\n      api_key: gsk_abc\n"),
        ["14: agents.helper.llm.api_key: unknown key; secrets belong in the environment"],
    ),
    (
        ("min_delay_s: 0.3", "quickly: 0.3"),
        [
            (
                "17: agents.helper.turn_handling.endpointing.quickly: unknown key; "
                "allowed: alpha, max_delay_s, min_delay_s, mode"
            )
        ],
    ),
    (
        ("provider: groq", "provider: grok"),
        [
            (
                "12: agents.helper.llm.provider: expected one of 'groq', 'openai-compatible', "
                "got 'grok'; did you mean 'groq'?"
            )
        ],
    ),
    (
        ("      provider: groq\n", ""),
        [
            (
                "11: agents.helper.llm.provider: missing key; "
                "expected one of 'groq', 'openai-compatible'"
            )
        ],
    ),
    (
        ("provider: groq", "provider: openai-compatible"),
        [
            "11: agents.helper.llm.base_url: missing key; expected text",
            "11: agents.helper.llm.model: missing key; expected text",
        ],
    ),
    (
        ("provider: groq\n", "{provider: openai-compatible, base_url: 'http://u:pw@h/v1'}\n"),
        ["13: not valid YAML: expected <block end>, but found '<block mapping start>'"],
    ),
    (
        (
            "provider: groq\n",
            (
                "provider: openai-compatible\n      model: m\n      base_url: http://u:pw@h/v1\n"
                "      api_key_env: sk-abc\n"
            ),
        ),
        [
            (
                "14: agents.helper.llm.base_url: must not hold a user, a password or a query; "
                "secrets belong in the environment"
            ),
            (
                "15: agents.helper.llm.api_key_env: must be the name of an environment variable, "
                "such as 'MY_API_KEY'"
            ),
        ],
    ),
    (
        ("provider: assemblyai", "provider: assemblyia"),
        [
            (
                "10: agents.helper.stt.provider: expected one of 'assemblyai', 'deepgram', "
                "got 'assemblyia'; did you mean 'assemblyai'?"
            )
        ],
    ),
    (
        ("keyterms: [", "model: universal-streaming-english, prompt: x, keyterms: ["),
        [
            (
                "10: agents.helper.stt.prompt: "
                "model 'universal-streaming-english' does not take it; "
                f"these do: {STEERABLE}"
            )
        ],
    ),
    (
        ("keyterms: [", "language_codes: [multi, en], keyterms: ["),
        ["10: agents.helper.stt.language_codes: 'multi' means every language and must stand alone"],
    ),
    (
        ("keyterms: [Harbour]", "keyterms: [Harbour, 7]"),
        ["10: agents.helper.stt.keyterms[1]: expected text, got 7; put quotes around text"],
    ),
    (
        ("title: Helper", "title: Helper\n    language: no"),
        ["9: agents.helper.language: expected text, got false; put quotes around text"],
    ),
    (
        ("title: Helper", "title: Helper\n    language: English, please"),
        [
            (
                "9: agents.helper.language: must be a BCP-47 language tag such as 'en' or 'en-US', "
                "got 'English, please'"
            )
        ],
    ),
    (
        ("title: Helper", "title: '  '"),
        ["8: agents.helper.title: must not be empty"],
    ),
    (
        ("title: Helper", f"title: {'x' * 81}"),
        ["8: agents.helper.title: must be at most 80 characters, got 81"],
    ),
    (
        ("instructions: Help.", f"instructions: {'é' * 9000}"),
        ["9: agents.helper.instructions: must be at most 16384 bytes of UTF-8, got 18000"],
    ),
    (
        ("title: Helper", 'title: "a\\0b"'),
        ["8: agents.helper.title: must not contain NUL"],
    ),
    (
        ("title: Helper", 'title: "\\uD800"'),
        ["8: agents.helper.title: must not contain a lone surrogate"],
    ),
    (
        ("title: Helper", "title: Helper\n    title: Again"),
        ["9: agents.helper.title: given twice, first on line 8"],
    ),
    (
        ("temperature: 0.5", "temperature: 1e5"),
        ["13: agents.helper.llm.temperature: expected a number, got '1e5'"],
    ),
    (
        ("temperature: 0.5", "temperature: .nan"),
        ["13: agents.helper.llm.temperature: expected a finite number, got nan"],
    ),
    (
        ("temperature: 0.5", "temperature: 2.5"),
        ["13: agents.helper.llm.temperature: must be at most 2, got 2.5"],
    ),
    (
        ("temperature: 0.5", "max_completion_tokens: 1.5"),
        ["13: agents.helper.llm.max_completion_tokens: expected a whole number, got 1.5"],
    ),
    (
        ("temperature: 0.5", "parallel_tool_calls: 'yes'"),
        ["13: agents.helper.llm.parallel_tool_calls: expected true or false, got 'yes'"],
    ),
    (
        ("temperature: 0.5", "temperature: !!python/object:os.system {}"),
        [
            (
                "13: agents.helper.llm.temperature: the tag "
                "'tag:yaml.org,2002:python/object:os.system' is not allowed"
            )
        ],
    ),
    (
        ("temperature: 0.5", "temperature: !!bool maybe"),
        ["13: agents.helper.llm.temperature: cannot be read as bool"],
    ),
    (
        ("temperature: 0.5", "no: 1"),
        ["13: agents.helper.llm: keys must be text: put quotes around 'no'"],
    ),
    (
        ("voice: her}", "voice: hers}"),
        ["14: agents.helper.tts.voice: 'hers' is not in voices; did you mean 'her'?"],
    ),
    (
        ("voices: [her]", "voices: [his, hims]"),
        [
            (
                "18: agents.helper.public.voices[1]: 'hims' is neither in voices "
                "nor the agent's own; there are her, his; did you mean 'his'?"
            )
        ],
    ),
    (
        ("fields: [language]", "fields: [lang]"),
        [
            (
                "18: agents.helper.public.fields[0]: expected one of 'systemPrompt', 'greeting', "
                "'language', 'keyterms', 'metadata', 'maxDuration', 'maxTokens', 'maxCost', "
                "'record', "
                "got 'lang'; did you mean 'language'?"
            )
        ],
    ),
    (
        ("turn_detection: v1-mini", "turn_detection: v1"),
        [f"15: agents.helper.turn_detection.model: expected one of {DETECTORS}, got 'v1'"],
    ),
    (
        ("turn_detection: v1-mini", "turn_detection: [vad]"),
        ["15: agents.helper.turn_detection: expected a mapping, got a list"],
    ),
    (
        ("turn_detection: v1-mini", "turn_detection: {unlikely_threshold: 0.2}"),
        [f"15: agents.helper.turn_detection.model: missing key; expected one of {DETECTORS}"],
    ),
    (
        ("turn_detection: v1-mini", "turn_detection: {model: english, unlikely_thresholds: {}}"),
        [
            (
                "15: agents.helper.turn_detection.unlikely_thresholds: unknown key; "
                "did you mean 'unlikely_threshold'?"
            )
        ],
    ),
    (
        ("v1-mini", "{model: v1-mini, unlikely_thresholds: {en!: 0.1, de: high}}"),
        [
            (
                "15: agents.helper.turn_detection.unlikely_thresholds.'en!': must be a BCP-47 "
                "language tag such as 'en' or 'en-US', got 'en!'"
            ),
            (
                "15: agents.helper.turn_detection.unlikely_thresholds.de: expected a number, "
                "got 'high'"
            ),
        ],
    ),
    (
        ("max_delay_s: 2}", "max_delay_s: 0.2}"),
        [
            (
                "17: agents.helper.turn_handling.endpointing.min_delay_s: "
                "must be at most max_delay_s (0.2), got 0.3"
            )
        ],
    ),
    (
        ("default: helper", "default: helpr"),
        ["2: default: no agent of that name in this file; it has helper; did you mean 'helper'?"],
    ),
    (("version: 1", "version: 2"), ["1: version: expected 1, got 2"]),
    (
        ("  helper:\n", "  Helper!:\n"),
        [
            (
                "2: default: no agent of that name in this file; it has Helper!; "
                "did you mean 'Helper!'?"
            ),
            f"7: agents.'Helper!': must be {NAME_RULE}, got 'Helper!'",
        ],
    ),
    (
        ("voices:\n  her: {provider: inworld, voice: Ashley}", "voices:\n  her: {voice: Ashley}"),
        ["4: voices.her.provider: missing key; expected one of 'cartesia', 'inworld'"],
    ),
]


@pytest.mark.parametrize(("change", "messages"), MISTAKES, ids=lambda value: repr(value)[:60])
def test_mistake(tmp_path: Path, change: tuple[str, str], messages: list[str]) -> None:
    """Each mistake is refused in exactly these words, with its line and its path."""
    assert said(tmp_path, changed(change)) == [f"agents.yaml:{message}" for message in messages]


FILES: list[tuple[str | bytes, str]] = [
    ("", "1: the file is empty"),
    ("# nothing yet\n", "1: the file is empty"),
    ("\n- a\n", "2: the file must be a mapping of keys"),
    ("a: 1\nb: [1\n", "3: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("a: 1\n\tb: 2\n", "2: not valid YAML: found character '\\t' that cannot start any token"),
    ("a: 1\n---\nb: 2\n", "2: not valid YAML: but found another document"),
    (b"a: 1\nb: \xff\n", "2: the file must be UTF-8"),
    ("a: 1\nb: \x07\n", "2: not valid YAML: character U+0007 is not allowed"),
    ("[" * 100, "1: not valid YAML: nested too deeply"),
    ("a: &a [*a]\n", "1: not valid YAML: nested too deeply"),
    ("a: *b\n", "1: not valid YAML: found undefined alias 'b'"),
    ("a: 1\n" + "#" * MAX_FILE_BYTES, f"2: the file must be at most {MAX_FILE_BYTES} bytes"),
]


@pytest.mark.parametrize(("content", "message"), FILES, ids=lambda value: repr(value)[:40])
def test_unreadable_file(tmp_path: Path, content: str | bytes, message: str) -> None:
    """What is not a YAML mapping at all is refused in one sentence, with the line."""
    assert said(tmp_path, content) == [f"agents.yaml:{message}"]


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be opened is named, without a line, since it has none."""
    with pytest.raises(CatalogError) as caught:
        Catalog.load(tmp_path / "none.yaml")
    (problem,) = caught.value.problems
    assert problem == Problem(
        str(tmp_path / "none.yaml"), None, "", "cannot be read: No such file or directory"
    )


def test_alias_bomb_is_refused(tmp_path: Path) -> None:
    """Aliases of aliases that unfold to millions of values are refused at a bound."""
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    content = "\n".join(["a0: &a0 [x]", *levels])
    assert "more than 50000 values after aliases" in said(tmp_path, content)[0]


def test_all_problems_at_once_in_order_of_lines(tmp_path: Path) -> None:
    """Mistakes of every kind are reported together, sorted by line."""
    content = changed(
        ("default: helper", "default: other"),
        ("title: Helper", "title: Helper\n    title: Again"),
        ("temperature: 0.5", "temperature: hot"),
        ("voice: her}", "voice: hers}"),
        ("fields: [language]", "field: [language]"),
    )
    problems = refused(tmp_path, content).problems
    assert [(problem.line, problem.path) for problem in problems] == [
        (2, "default"),
        (9, "agents.helper.title"),
        (14, "agents.helper.llm.temperature"),
        (15, "agents.helper.tts.voice"),
        (19, "agents.helper.public.field"),
    ]


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """`<<` shares settings between agents; own keys win, and mistakes name the shared line."""
    second = (
        "  second:\n    title: Second\n    instructions: Help.\n    <<: *shared\n"
        "    tts: {provider: inworld, voice: his}\n"
    )
    first = SMALL.replace("  helper:\n", "  helper: &shared\n")
    file = tmp_path / "agents.yaml"
    file.write_text(first + second)
    spec = Catalog.load(file).agents["second"]
    assert (spec.title, spec.voice, spec.stt.keyterms) == ("Second", "his", ("Harbour",))

    lines = said(tmp_path, (first + second).replace("temperature: 0.5", "temperature: 5"))
    assert lines == [
        "agents.yaml:13: agents.helper.llm.temperature: must be at most 2, got 5",
        "agents.yaml:13: agents.second.llm.temperature: must be at most 2, got 5",
    ]


def problems_of(file: Path) -> tuple[Problem, ...]:
    """The problems of a file; none if it loads."""
    try:
        Catalog.load(file)
    except CatalogError as error:
        return error.problems
    return ()


Keys = tuple[str | int, ...]


def every_path(value: Any, path: Keys = ()) -> list[Keys]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    inner = [found for key, item in items for found in every_path(item, (*path, key))]
    return [*([path] if path else []), *inner]


SHIPPED_DATA = yaml.safe_load(SHIPPED.read_text())
PATHS = every_path(SHIPPED_DATA)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3) | st.integers(), st.integers(), max_size=3),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), path=st.sampled_from(PATHS), what=st.sampled_from(["cut", "name", "type"]))
def test_mutations_never_crash(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, path: Keys, what: str
) -> None:
    """Any key of the shipped file deleted, renamed or given another type: it loads, or a
    CatalogError names lines of the file.
    """
    tree = yaml.safe_load(SHIPPED.read_text())
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    last = path[-1]
    if what == "cut":
        del parent[last]
    elif what == "name" and isinstance(parent, dict):
        parent[data.draw(st.text(max_size=12) | st.integers())] = parent.pop(last)
    else:
        parent[last] = data.draw(VALUES)
    text = yaml.safe_dump(tree, allow_unicode=data.draw(st.booleans()))
    file = tmp_path_factory.mktemp("mutated") / "agents.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    for problem in problems_of(file):
        assert problem.line is not None
        assert 1 <= problem.line <= text.count("\n") + 1
        assert str(problem).encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_broken_text_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes cut out of the shipped file, or put into it: it loads, or a CatalogError says where."""
    raw = SHIPPED.read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(start + 40, len(raw))))
    junk = data.draw(
        st.binary(max_size=6)
        | st.sampled_from([b"!!int x", b"!!set {}", b"? ", b"<<: ", b"&a ", b"*a", b"{", b"|"])
    )
    file = tmp_path_factory.mktemp("broken") / "agents.yaml"
    file.write_bytes(raw[:start] + junk + raw[end:])
    for problem in problems_of(file):
        assert problem.line is not None
        assert str(problem).encode()
