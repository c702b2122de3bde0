"""Which parts of the stack are real and which are ours, from the environment alone. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from assistant.local_stack.errors import StackMisconfiguredError
from assistant.local_stack.ports import HOST

DUMMY_KEY = "stand-in"
LIVEKIT_NAMES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor and its variables; `stand_in_url` has the stand-ins' port in it."""

    name: Literal["assemblyai", "deepgram", "groq", "inworld", "cartesia"]
    role: str
    key_names: tuple[str, ...]
    url_name: str
    stand_in_url: str


VENDORS = (
    Vendor(
        "assemblyai",
        "speech to text",
        ("ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY"),
        "ASSISTANT_ASSEMBLYAI_URL",
        f"ws://{HOST}:{{port}}",
    ),
    Vendor(
        "deepgram",
        "speech to text",
        ("DEEPGRAM_API_KEY",),
        "ASSISTANT_DEEPGRAM_URL",
        f"http://{HOST}:{{port}}/v1/listen",
    ),
    Vendor(
        "groq",
        "language model",
        ("GROQ_API_KEY",),
        "ASSISTANT_GROQ_URL",
        f"http://{HOST}:{{port}}/openai/v1",
    ),
    Vendor(
        "inworld",
        "text to speech",
        ("INWORLD_API_KEY",),
        "ASSISTANT_INWORLD_URL",
        f"http://{HOST}:{{port}}/",
    ),
    Vendor(
        "cartesia",
        "text to speech",
        ("CARTESIA_API_KEY",),
        "ASSISTANT_CARTESIA_URL",
        f"http://{HOST}:{{port}}/",
    ),
)
KEY_NAMES = frozenset(name for vendor in VENDORS for name in vendor.key_names)


@dataclass(frozen=True, slots=True)
class Choices:
    """`livekit_url`, `redis_url` None: ours. `vendors`: those that agents use.

    `stand_ins`: those of them that a stand-in replaces.
    """

    livekit_url: str | None
    redis_url: str | None
    vendors: tuple[Vendor, ...]
    stand_ins: tuple[Vendor, ...]
    http_port: int | None


def choose(environ: Mapping[str, str], used: Collection[str]) -> Choices:
    """Read the choices; an empty variable counts as not set.

    `used`: the variables of all keys that agents need, by which their vendors are known. A vendor
    is real when its key is set, or another address for it (such as a Llama server of one's own,
    which needs no key).

    Raises:
        StackMisconfiguredError: a part of LiveKit's three variables is missing, or a port is none.
    """
    is_set = {name: bool(value) for name, value in environ.items()}
    missing = [name for name in LIVEKIT_NAMES if not is_set.get(name)]
    if missing and len(missing) < len(LIVEKIT_NAMES):
        raise StackMisconfiguredError(
            f"To use a LiveKit server of yours, set {', '.join(LIVEKIT_NAMES)}; "
            f"{', '.join(missing)} is missing. With none of them set, one is started for you."
        )
    vendors = tuple(vendor for vendor in VENDORS if not set(vendor.key_names).isdisjoint(used))
    return Choices(
        livekit_url=environ.get("LIVEKIT_URL") or None,
        redis_url=environ.get("REDIS_URL") or None,
        vendors=vendors,
        stand_ins=tuple(vendor for vendor in vendors if not _is_real(vendor, environ)),
        http_port=_port(environ.get("ASSISTANT_HTTP_PORT") or None),
    )


def _is_real(vendor: Vendor, environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in (*vendor.key_names, vendor.url_name))


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StackMisconfiguredError(
            f"ASSISTANT_HTTP_PORT must be a port, 1 to 65535, not {text!r}."
        )
    return int(text)


def host_of(url: str) -> str:
    """The part of an address that may be shown: no user, password or query."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or '?'}{port}"


def vendor_environ(environ: Mapping[str, str], choices: Choices, port: int) -> dict[str, str]:
    """The vendors' variables for the worker: stand-ins' addresses, and a key where none is.

    Where stand-ins run, those of vendors that no agent uses are told as well: agents.yaml may come
    to name one while the worker runs.
    """
    values: dict[str, str] = {}
    for vendor in VENDORS if choices.stand_ins else ():
        if not _is_real(vendor, environ):
            values[vendor.url_name] = vendor.stand_in_url.format(port=port)
    for vendor in VENDORS if choices.stand_ins else choices.vendors:
        if not any(environ.get(name) for name in vendor.key_names):
            values[vendor.key_names[0]] = DUMMY_KEY
    return values


def reaching_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, with loopback exempt from any HTTP proxy that it names."""
    values = {name: value for name, value in environ.items() if value != ""}
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in values):
        exempt = values.get("no_proxy") or values.get("NO_PROXY") or ""
        both = ",".join(part for part in (exempt, HOST, "localhost") if part)
        values["no_proxy"] = values["NO_PROXY"] = both
    return values
