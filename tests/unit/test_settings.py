"""Settings: read from the environment, refused by name."""

import pytest

from assistant.errors import SettingsError
from assistant.settings import (
    NAMES,
    LiveKitSettings,
    VendorSettings,
    WorkerSettings,
    check_names,
    read,
)

SECRET = "s" * 32
LIVEKIT = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880/",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": SECRET,
}


def test_defaults_need_livekit_alone() -> None:
    """A worker's settings are complete once LiveKit is named."""
    settings = read(WorkerSettings, LIVEKIT)
    assert settings.livekit_url == "ws://127.0.0.1:7880"
    assert (settings.max_bots, settings.prewarm_pool_size) == (50, 3)
    assert settings.session_timeout_ms == 1_800_000
    assert settings.bot_startup_timeout_s == 30
    assert settings.redis_url == "redis://localhost:6379/0"


def test_every_wrong_variable_is_named_at_once() -> None:
    """One run tells everything that is wrong."""
    with pytest.raises(SettingsError) as caught:
        read(WorkerSettings, {"LIVEKIT_URL": "nonsense", "MAX_BOTS": "many"})
    text = str(caught.value)
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "MAX_BOTS"):
        assert name in text


def test_a_short_secret_is_refused() -> None:
    """HS256 with a short key can be guessed."""
    with pytest.raises(SettingsError, match="at least 32 bytes"):
        read(LiveKitSettings, {**LIVEKIT, "LIVEKIT_API_SECRET": "secret"})


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """A misspelt limit must not be silently ignored."""
    with pytest.raises(SettingsError, match="did you mean ASSISTANT_MAX_JOBS"):
        check_names({"ASSISTANT_MAX_JOB": "3"})


@pytest.mark.parametrize(
    "name",
    [
        "ASSISTANT_SERVICE_HOST",
        "ASSISTANT_SERVICE_PORT",
        "ASSISTANT_SERVICE_PORT_HTTP",
        "ASSISTANT_PORT",
        "ASSISTANT_PORT_8080_TCP",
        "ASSISTANT_PORT_8080_TCP_ADDR",
    ],
)
def test_variables_of_a_kubernetes_service_are_no_error(name: str) -> None:
    """Kubernetes injects link variables for a Service named `assistant`."""
    check_names({name: "tcp://10.0.0.1:8080"})


def test_an_empty_value_counts_as_not_set() -> None:
    """`FOO=` in a compose file means: not set."""
    assert read(VendorSettings, {"GROQ_API_KEY": ""}).groq_api_key is None


def test_the_older_name_of_the_assemblyai_key_still_counts() -> None:
    """ASSEMBLY_API_KEY was the older backend's name."""
    assert read(VendorSettings, {"ASSEMBLY_API_KEY": "older"}).stt_key() == "older"
    both = {"ASSEMBLY_API_KEY": "older", "ASSEMBLYAI_API_KEY": "newer"}
    assert read(VendorSettings, both).stt_key() == "newer"


def test_secrets_are_not_in_repr() -> None:
    """A settings object may be logged by mistake."""
    settings = read(WorkerSettings, {**LIVEKIT, "GROQ_API_KEY": "gsk-canary"})
    assert SECRET not in repr(settings)
    assert "gsk-canary" not in repr(settings)


def test_names_of_ours_carry_the_prefix() -> None:
    """What is not an older or a vendor's name starts with ASSISTANT_; none is ASSISTANT_PORT."""
    others = {
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "GROQ_API_KEY",
        "ASSEMBLYAI_API_KEY",
        "ASSEMBLY_API_KEY",
        "INWORLD_API_KEY",
        "DEEPGRAM_API_KEY",
        "CARTESIA_API_KEY",
        "REDIS_URL",
        "MAX_BOTS",
        "SESSION_TIMEOUT",
        "BOT_STARTUP_TIMEOUT",
        "PREWARM_POOL_SIZE",
    }
    assert {name for name in NAMES if not name.startswith("ASSISTANT_")} == others
    assert "ASSISTANT_PORT" not in NAMES
