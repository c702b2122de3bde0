"""/metrics: Prometheus reads it, it has what the documents say, and it counts what happens."""

import time
from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from assistant.sessions.store import keys
from tests.integration.http_stack import (
    BACKEND_KEY,
    PAGE_KEY,
    WITH_KEYS,
    Stack,
    new_id,
    running_stack,
)
from tests.integration.test_http_bad_input import refused
from tests.integration.test_http_outages import frozen
from tests.timing import scaled
from token_service.metrics import METRICS

pytestmark = pytest.mark.slow
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("metrics"), **WITH_KEYS) as running:
        running.has_worker(max_jobs=7)
        yield running


def families(stack: Stack, *, url: str | None = None) -> list[Metric]:
    with stack.client(BACKEND_KEY, url=url) as http:
        answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return list(text_string_to_metric_families(answer.text))


def samples(stack: Stack, *, url: str | None = None) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(stack, url=url)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def test_what_there_is_is_what_is_listed(stack: Stack) -> None:
    """Every metric has the name, type and labels that its table says, and none is missing."""
    with stack.client(BACKEND_KEY) as http:
        http.get("/nowhere/with/a/canary")
        http.post("/api/session/end", json={"sessionId": new_id()})
    session_id = new_id()
    run_once(stack, session_id)
    time.sleep(1.1)  # what the page holds may be a second old
    found = families(stack)
    assert "canary" not in str(found)
    # The text format's own suffixes belong to the names, or do not, by type.
    named = {f"{f.name}_total" if f.type == "counter" else f.name: f for f in found}
    listed = {name: m for name, m in METRICS.items() if name != "assistant_agents_lost_total"}
    assert listed.keys() <= named.keys() <= METRICS.keys()
    for name, family in named.items():
        assert family.type == METRICS[name].kind, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name].labels), sample


def run_once(stack: Stack, session_id: str) -> None:
    with stack.client(BACKEND_KEY) as http:
        http.post("/api/session/start", json={"sessionId": session_id, "userId": "u"})
        http.post("/api/session/end", json={"sessionId": session_id})
    stack.wait_status(session_id, "ended")


def test_sessions_are_counted(stack: Stack) -> None:
    """A session that comes and goes is in the totals, and no longer in the figures of now."""
    before = samples(stack)
    run_once(stack, new_id())
    with stack.client(BACKEND_KEY) as http:
        http.post("/api/token", json={"sessionId": new_id(), "userId": "u"})
    deadline = time.monotonic() + scaled(10)
    while True:
        after = samples(stack)
        grown = {
            name: value(after, name, **labels) - value(before, name, **labels)
            for name, labels in (
                ("assistant_sessions_created_total", {}),
                (
                    "assistant_sessions_over_total",
                    {"state": "ended", "reason": "user_requested"},
                ),
                ("assistant_attempts_total", {}),
                ("assistant_stage_seconds_count", {"stage": "queued"}),
            )
        }
        if list(grown.values()) == [2, 1, 1, 1]:
            break
        assert time.monotonic() < deadline, grown
        time.sleep(0.1)
    assert value(after, "assistant_sessions", state="created") == 1
    assert value(after, "assistant_live_sessions", agent="assistant") == 1
    assert value(after, "assistant_slots_used") == 0
    assert value(after, "assistant_slots_limit") == 50
    assert value(after, "assistant_workers", state="serving") == 1
    assert value(after, "assistant_worker_jobs_limit") == 7
    starts = {"method": "POST", "route": "/api/session/start", "status": "200"}
    assert value(after, "assistant_http_requests_total", **starts) >= 1
    assert value(after, "assistant_redis_up") == 1


def test_replicas_agree_about_the_fleet(stack: Stack) -> None:
    """A replica that has served nothing knows what was counted, and counts its own requests."""
    run_once(stack, new_id())
    with stack.another_service(**WITH_KEYS) as url:
        time.sleep(1.1)  # what the page holds may be a second old
        here, there = samples(stack), samples(stack, url=url)
    for name in ("assistant_sessions_created_total", "assistant_attempts_total"):
        assert value(here, name) == value(there, name) > 0
    starts = {"method": "POST", "route": "/api/session/start", "status": "200"}
    assert value(there, "assistant_http_requests_total", **starts) == 0


def test_metrics_are_for_backends(stack: Stack) -> None:
    """Figures tell more than a page should know."""
    with stack.client(PAGE_KEY) as page, stack.client() as nobody:
        refused(page.get("/metrics"), 403, "forbidden")
        refused(nobody.get("/metrics"), 401, "unauthenticated")


def test_without_redis(stack: Stack) -> None:
    """The page still comes, in time, with this replica's figures, and says that Redis is away."""
    with frozen(stack.valkey):
        time.sleep(1.1)  # what the page holds may be a second old
        found = samples(stack)
        assert value(found, "assistant_redis_up") == 0
        assert ("assistant_slots_used", frozenset()) not in found
        assert any(name == "assistant_http_requests_total" for name, _ in found)
        with stack.client(BACKEND_KEY) as http:
            began = time.monotonic()
            answer = http.post(
                "/api/session/start",
                json={"sessionId": new_id(), "userId": "u"},
                headers={"Idempotency-Key": new_id()},
            )
            refused(answer, 503, "store_unavailable")
            assert time.monotonic() - began < scaled(4)


def test_older_keys(stack: Stack) -> None:
    """The log has a line for each change, and both of the older keys expire with the session."""
    session_id = new_id()
    run_once(stack, session_id)
    lines = stack.redis.lrange(keys.session_logs(session_id), 0, -1)
    words = [line.split()[1] for line in lines]
    assert words[:3] == ["session.created", "session.queued", "session.admitted"]
    assert words[-1] == "session.ended"
    assert 'reason="user_requested"' in "\n".join(lines)
    assert stack.redis.ttl(keys.session_logs(session_id)) > 0
    assert stack.redis.get(keys.agent_pid(session_id)) is None
