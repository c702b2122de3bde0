"""The service's settings."""

from typing import Any

import pytest

from assistant.errors import SettingsError
from assistant.settings import SERVICE_NAMES, names_of
from token_service.settings import HttpSettings, read_settings

NEEDED = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "APItest",
    "LIVEKIT_API_SECRET": "s" * 40,
}
A, B = "a" * 16, "b" * 16


def test_names_are_registered() -> None:
    """The registry of names and what the service reads are the same."""
    assert names_of(HttpSettings) == SERVICE_NAMES


def test_defaults() -> None:
    """With LiveKit alone the service binds loopback, needs no keys, and shows the talk page."""
    settings = read_settings(NEEDED)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert not settings.has_keys
    assert settings.talk_page() == (True, None)
    assert settings.client_livekit_url == "ws://127.0.0.1:7880"
    assert settings.token_ttl_s == 600


def test_public_livekit_url() -> None:
    """Clients get the public address where there is one."""
    settings = read_settings({**NEEDED, "ASSISTANT_LIVEKIT_PUBLIC_URL": "wss://rtc.example.org/"})
    assert settings.client_livekit_url == "wss://rtc.example.org"


def test_keys_are_read_and_never_shown() -> None:
    """Keys are parsed by name, and their text is in no repr."""
    settings = read_settings(
        {
            **NEEDED,
            "ASSISTANT_HTTP_HOST": "0.0.0.0",
            "ASSISTANT_SECRET_KEYS": f"backend:{A}, other:{'c' * 20}:x",
            "ASSISTANT_PUBLISHABLE_KEYS": f"page:{B}",
            "ASSISTANT_TALK_PAGE_KEY": "page",
        }
    )
    assert [key.name for key in settings.secret_keys] == ["backend", "other"]
    assert settings.secret_keys[1].key == "c" * 20 + ":x"
    on, key = settings.talk_page()
    assert on
    assert key is not None
    assert key.key == B
    shown = repr(settings) + repr(settings.secret_keys) + str(settings)
    assert A not in shown
    assert B not in shown
    assert "s" * 40 not in shown


def test_with_keys_the_talk_page_is_off() -> None:
    """Where keys are set, the talk page needs one of its own by name."""
    settings = read_settings({**NEEDED, "ASSISTANT_PUBLISHABLE_KEYS": f"page:{B}"})
    assert settings.talk_page() == (False, None)


@pytest.mark.parametrize(
    ("environ", "name", "words"),
    [
        ({"LIVEKIT_URL": ""}, "LIVEKIT_URL", "is not set"),
        ({"LIVEKIT_API_SECRET": "short"}, "LIVEKIT_API_SECRET", "at least 32 bytes"),
        ({"ASSISTANT_HTTP_HOST": "0.0.0.0"}, "ASSISTANT_HTTP_HOST", "no keys are set"),
        ({"ASSISTANT_HTTP_HOST": "::"}, "ASSISTANT_HTTP_HOST", "no keys are set"),
        ({"ASSISTANT_HTTP_HOST": "10.0.0.7"}, "ASSISTANT_HTTP_HOST", "no keys are set"),
        ({"ASSISTANT_HTTP_PORT": "70000"}, "ASSISTANT_HTTP_PORT", "65535"),
        ({"ASSISTANT_SECRET_KEYS": "backend"}, "ASSISTANT_SECRET_KEYS", "name:key"),
        ({"ASSISTANT_SECRET_KEYS": f":{A}"}, "ASSISTANT_SECRET_KEYS", "name:key"),
        ({"ASSISTANT_SECRET_KEYS": "x:hunter2hunter"}, "ASSISTANT_SECRET_KEYS", "16 characters"),
        ({"ASSISTANT_SECRET_KEYS": f"x:{A} {A}"}, "ASSISTANT_SECRET_KEYS", "printable"),
        ({"ASSISTANT_SECRET_KEYS": f"x:{A},x:{B}"}, "ASSISTANT_SECRET_KEYS", "twice"),
        ({"ASSISTANT_SECRET_KEYS": f"x:{A},y:{A}"}, "ASSISTANT_SECRET_KEYS", "same key"),
        (
            {"ASSISTANT_SECRET_KEYS": f"x:{A}", "ASSISTANT_PUBLISHABLE_KEYS": f"y:{A}"},
            "ASSISTANT_SECRET_KEYS, ASSISTANT_PUBLISHABLE_KEYS",
            "same key",
        ),
        ({"ASSISTANT_TALK_PAGE_KEY": "page"}, "ASSISTANT_TALK_PAGE_KEY", "not the name"),
        ({"ASSISTANT_ALLOWED_ORIGINS": "*"}, "ASSISTANT_ALLOWED_ORIGINS", "not an origin"),
        ({"ASSISTANT_ALLOWED_ORIGINS": "null"}, "ASSISTANT_ALLOWED_ORIGINS", "not an origin"),
        (
            {"ASSISTANT_ALLOWED_ORIGINS": "https://a.example/path"},
            "ASSISTANT_ALLOWED_ORIGINS",
            "not an origin",
        ),
        ({"ASSISTANT_ALLOWED_HOSTS": "a b"}, "ASSISTANT_ALLOWED_HOSTS", "not a host name"),
        ({"ASSISTANT_TOKEN_TTL": "1"}, "ASSISTANT_TOKEN_TTL", "10"),
        ({"ASSISTANT_RATE_LIMIT": "0"}, "ASSISTANT_RATE_LIMIT", "1"),
        (
            {"ASSISTANT_LIVEKIT_PUBLIC_URL": "ftp://x"},
            "ASSISTANT_LIVEKIT_PUBLIC_URL",
            "must start with",
        ),
        ({"ASSISTANT_HTTP_POTR": "1"}, "ASSISTANT_HTTP_POTR", "is not a setting"),
    ],
)
def test_wrong_settings_are_named(environ: dict[str, str], name: str, words: str) -> None:
    """Each wrong variable is refused by name, with what is wrong, and without any key's text."""
    with pytest.raises(SettingsError) as caught:
        read_settings({**NEEDED, **environ})
    text = str(caught.value)
    assert name in text
    assert words in text
    for secret in (A, B, "hunter2"):
        assert secret not in text


def test_every_missing_livekit_variable_is_named() -> None:
    """An empty environment names all three of LiveKit's variables at once."""
    nothing: dict[str, Any] = {}
    with pytest.raises(SettingsError) as caught:
        read_settings(nothing)
    assert {problem.name for problem in caught.value.problems} == set(NEEDED)
