"""Webhooks out, as far as they are pure: endpoints, signatures, addresses, the schedule."""

import base64
import json
from typing import Any

import pytest

from assistant.addresses import is_internal
from assistant.errors import SettingsError
from assistant.sessions import events as ev
from assistant.sessions.store.codec import encode_event
from token_service import public_events
from token_service.deliveries import Schedule
from token_service.endpoints import parse_endpoints
from token_service.settings import read_settings
from token_service.signing import parse_secret, signed_headers
from token_service.sse import frame

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
LIVEKIT = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "s" * 32,
}


def endpoint(**changes: Any) -> dict[str, Any]:
    given = {"name": "crm", "url": "https://example.org/hook", "secret": SECRET}
    return {name: value for name, value in (given | changes).items() if value is not None}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2600::5efe:10.0.0.1",
        "3fff::1",
        "not an address",
        "",
        "127.1",
        "2130706433",
    ],
)
def test_internal_addresses(address: str) -> None:
    """This host, its networks, its cloud's own, and each of them in IPv6's clothes."""
    assert is_internal(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.1",
        "100.128.0.1",
        "169.253.1.1",
        "192.0.1.1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses(address: str) -> None:
    """What is reachable from everywhere is not refused."""
    assert not is_internal(address)


def test_signatures_are_those_of_the_specification() -> None:
    """The example of the specification's libraries comes out as they have it."""
    headers = signed_headers(
        (parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


WRONG: list[tuple[Any, str]] = [
    ("{", "JSON array"),
    ("[" * 100_000, "JSON array"),
    ({}, "JSON array"),
    ([endpoint()] * 17, "at most 16"),
    ([1], "endpoint 1 must be an object"),
    ([endpoint(), endpoint()], "'crm' is there twice"),
    ([endpoint(colour="red")], "unknown field 'colour'"),
    ([endpoint(name=None)], "needs name"),
    ([endpoint(name="a b")], "A-Za-z0-9_-"),
    ([endpoint(secret=None)], "needs secret"),
    ([endpoint(secret="canary-secret")], "whsec_"),
    ([endpoint(secret="whsec_Y2FuYXJ5")], "24 to 64 bytes"),
    ([endpoint(previousSecret="whsec_Y2FuYXJ5")], "24 to 64 bytes"),
    ([endpoint(url="ftp://example.org/canary")], "https://host"),
    ([endpoint(url="https:///canary")], "https://host"),
    ([endpoint(url="https://user:canary@example.org/")], "neither user"),
    ([endpoint(url="https://example.org/canary#x")], "fragment"),
    ([endpoint(url="https://example.org/canary here")], "printable"),
    ([endpoint(url="https://example.org:99999/canary")], "https://host"),
    ([endpoint(events=[])], "array of names"),
    ([endpoint(events="*")], "array of names"),
    ([endpoint(events=["session.begun"])], "no event 'session.begun'"),
    ([endpoint(events=["agent.claimed"])], "no event"),
    ([endpoint(events=["sess*"])], "no event"),
    ([endpoint(url="http://example.org/canary")], "https://"),
]


@pytest.mark.parametrize(("given", "why"), WRONG)
def test_wrong_endpoints_are_refused(given: Any, why: str) -> None:
    """What is wrong is named by the variable and its place; a secret or a URL never is."""
    text = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(SettingsError) as caught:
        read_settings({**LIVEKIT, "ASSISTANT_WEBHOOKS": text})
    assert "ASSISTANT_WEBHOOKS" in str(caught.value)
    assert why in str(caught.value)
    assert "canary" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_endpoints_choose_their_events() -> None:
    """Names, `prefix.*` and `*`; without `events` everything."""
    chosen, every = parse_endpoints(
        json.dumps([endpoint(events=["session.*", "turn.completed"]), endpoint(name="all")])
    )
    assert chosen.wants("session.ended")
    assert chosen.wants("turn.completed")
    assert not chosen.wants("agent.joined")
    assert every.wants("agent.joined")


def test_secrets_of_endpoints_are_not_shown() -> None:
    """Settings may be logged by mistake; plain http is for those who ask for it."""
    environ = {
        **LIVEKIT,
        "ASSISTANT_WEBHOOKS": json.dumps([endpoint(url="http://127.0.0.1/canary")]),
        "ASSISTANT_WEBHOOKS_ALLOW_INTERNAL": "true",
    }
    settings = read_settings(environ)
    for shown in (repr(settings), repr(settings.webhooks)):
        assert "canary" not in shown
        assert SECRET not in shown
        assert repr(bytes(range(32))) not in shown


def test_waits_grow_and_stay_within_bounds() -> None:
    """Doubling to the cap, a random part of it each time, and at least a day of attempts."""
    schedule = Schedule()
    longest = [schedule.delay_s(n, 1.0) for n in range(1, 2000)]
    assert longest[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(longest) == longest[-1] == schedule.cap_s
    assert schedule.delay_s(5, 0.0) == 0.0
    assert schedule.give_up_after_s == 86_400.0
    assert schedule.claim_s > schedule.attempt_timeout_s


def _every(kind: type[ev.Event]) -> list[type[ev.Event]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *_every(sub))]


def test_every_event_is_public_or_internal_on_purpose() -> None:
    """A new event is either told to others, with named facts, or listed as internal."""
    recorded = {kind.name for kind in _every(ev.Event) if kind.name != ev.Event.name}
    decided = public_events.RECORDED | public_events.INTERNAL
    assert recorded - decided == set()
    assert decided - recorded == {"session.active"}


def test_nothing_private_leaves() -> None:
    """A prompt or a configuration goes out in no event; what was said in one alone; to pages no
    word of what a backend orders.
    """
    data = {"at": 1.0, "spec": "canary", "config": "canary", "text": "secret", "attempt": 1}
    for name in public_events.RECORDED:
        for page in (False, True):
            event = public_events.published("a", name, data, page=page)
            assert (event is None) == (page and name.startswith(("control.", "operator.")))
            if event is None:
                continue
            told = json.dumps([event.posted(), event.streamed()])
            assert "canary" not in told
            assert ("secret" in told) == (name == ev.ItemSaid.name)
    claimed = encode_event(ev.Claimed(at=1.0, attempt=1, worker="w", pid=1))
    assert public_events.published("a", claimed["name"], json.loads(claimed["data"])) is None
    tool = {"at": 1.0, "role": "tool", "tool": "look", "output": "secret"}
    assert public_events.published("a", ev.ItemSaid.name, tool, page=True) is None
    backend = public_events.published("a", ev.ItemSaid.name, tool)
    assert backend is not None
    assert backend.data["output"] == "secret"


def test_messages_have_the_forms_that_are_documented() -> None:
    """A webhook as Standard Webhooks wants it; a stream's event on one line of data."""
    event = public_events.published("a", "agent.unseen", {"at": 1700000000.25, "attempt": 2})
    assert event is not None
    assert event.posted() == {
        "type": "agent.left",
        "timestamp": "2023-11-14T22:13:20.250000Z",
        "data": {"sessionId": "a", "attempt": 2},
    }
    assert frame(event.name, event.streamed(), event_id="1-0") == (
        b"id: 1-0\nevent: agent.left\n"
        b'data: {"sessionId":"a","name":"agent.left","at":1700000000.25,"data":{"attempt":2}}\n\n'
    )
    assert frame("x", {"text": "a\nb\r"}).count(b"\n") == 3
