"""Slots and the queue, seen from outside: exact, in order, and honest about the wait."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from assistant.sessions.store import keys
from tests.integration.http_stack import Stack, new_id, running_stack
from tests.integration.test_http_bad_input import refused
from tests.timing import scaled

pytestmark = pytest.mark.slow
STARTS = 300
MAX_BOTS = 50
AT_ONCE = 50


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {
        "MAX_BOTS": str(MAX_BOTS),
        "ASSISTANT_QUEUE_LIMIT": str(STARTS),
        "ASSISTANT_QUEUE_TIMEOUT": "600",
        # There is no worker behind the beats, and no session here fails for it.
        "BOT_STARTUP_TIMEOUT": "600",
        "ASSISTANT_LOG_LEVEL": "info",
    }
    with running_stack(tmp_path_factory.mktemp("queue"), **environ) as running:
        yield running


def start(http: httpx.Client, session_id: str) -> httpx.Response:
    return http.post("/api/session/start", json={"sessionId": session_id, "userId": session_id})


def end(http: httpx.Client, session_id: str) -> httpx.Response:
    return http.post("/api/session/end", json={"sessionId": session_id})


def check_order(events: list[tuple[str, str]]) -> tuple[int, int]:
    """How many were admitted, and the most slots in use, by the log of (session, event).

    Asserts that with n free slots only one of the first n that wait is admitted.
    """
    waiting: list[str] = []
    holding: set[str] = set()
    admitted, most = 0, 0
    for session_id, name in events:
        if name == "session.queued":
            waiting.append(session_id)
        elif name == "session.admitted":
            assert waiting.index(session_id) < MAX_BOTS - len(holding)
            waiting.remove(session_id)
            holding.add(session_id)
            admitted += 1
            most = max(most, len(holding))
        elif name in {"session.ended", "session.failed"}:
            holding.discard(session_id)
    return admitted, most


def test_many_starts_and_few_slots(stack: Stack) -> None:
    """Of 300 starts at once never more than 50 hold a slot; all get one, in the order of coming."""
    stack.has_worker(max_jobs=STARTS)
    ids = [new_id("q") for _ in range(STARTS)]
    with stack.client() as http, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda i: start(http, i), ids))
        assert {answer.status_code for answer in answers} == {200}
        bodies = [answer.json() for answer in answers]
        statuses = [body["status"] for body in bodies]
        assert (statuses.count("dispatching"), statuses.count("queued")) == (50, 250)
        places = sorted(body["position"] for body in bodies if body["status"] == "queued")
        assert places == list(range(1, 251))
        last = bodies[statuses.index("queued")]["sessionId"]
        assert http.get(f"/api/sessions/{last}").json()["estimatedWaitS"] is None
        deadline = time.monotonic() + scaled(60)
        done: set[str] = set()
        while len(done) < STARTS:
            assert time.monotonic() < deadline, f"{len(done)} were served"
            holding = set(stack.redis.zrange(keys.SLOTS, 0, -1))
            assert len(holding) <= MAX_BOTS
            list(pool.map(lambda i: end(http, i), holding - done))
            done |= holding
            if len(done) == 50:
                check_estimate(http, stack)
        for session_id in ids:
            stack.wait_status(session_id, "ended")
    log = [(fields["session"], fields["name"]) for _, fields in stack.redis.xrange(keys.EVENTS)]
    assert check_order(log) == (STARTS, MAX_BOTS)
    assert stack.redis.zcard(keys.SLOTS) == 0


def check_estimate(http: httpx.Client, stack: Stack) -> None:
    """With some slots freed, whoever waits is told how long it will probably take."""
    deadline = time.monotonic() + scaled(20)
    while stack.redis.llen(keys.HOLDS) < 3:
        assert time.monotonic() < deadline
    waiting = stack.redis.zrange(keys.QUEUE, -1, -1)
    shown = http.get(f"/api/sessions/{waiting[0]}").json()
    if shown["status"] == "queued":
        assert shown["estimatedWaitS"] > 0
    assert http.get("/stats").json()["queue"]["waiting"] > 0


def test_refused_with_the_time_to_come_back(stack: Stack) -> None:
    """Where starts are not queued, a full fleet says after how long a slot is probably free."""
    stack.has_worker(max_jobs=STARTS)
    stack.redis.delete(keys.HOLDS)
    stack.redis.rpush(keys.HOLDS, *(["30.0"] * 10))
    environ = {"ASSISTANT_WHEN_FULL": "reject", "MAX_BOTS": "2"}
    with stack.another_service(**environ) as url, stack.client(url=url) as http:
        ids = [new_id() for _ in range(3)]
        assert [start(http, i).status_code for i in ids[:2]] == [200, 200]
        answer = start(http, ids[2])
        refused(answer, 503, "capacity_exhausted")
        assert answer.headers["retry-after"] == "15"  # 30 s a slot, and two slots
        assert stack.record(ids[2]) == {}
        for session_id in ids[:2]:
            end(http, session_id)
            stack.wait_status(session_id, "ended")


def test_fifty_identical_starts_are_one(stack: Stack) -> None:
    """One task, one attempt, whoever of them was first."""
    stack.has_worker(max_jobs=STARTS)
    session_id = new_id()
    with stack.client() as http, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: start(http, session_id), range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["taskId"] for answer in answers}) == 1
        timeline = http.get(f"/api/sessions/{session_id}").json()["timeline"]
        names = [entry["name"] for entry in timeline]
        assert names[:3] == ["session.created", "session.queued", "session.admitted"]
        assert names.count("session.queued") == 1
        end(http, session_id)
        stack.wait_status(session_id, "ended")


def test_a_start_that_races_with_the_end(stack: Stack) -> None:
    """Whoever wins, the answers and the record agree."""
    stack.has_worker(max_jobs=STARTS)
    with stack.client() as http, ThreadPoolExecutor(2) as pool:
        for n in range(20):
            session_id = new_id("race")
            if n % 2:
                body = {"sessionId": session_id, "userId": session_id}
                assert http.post("/api/token", json=body).status_code == 200
            starting, ending = (
                pool.submit(start, http, session_id),
                pool.submit(end, http, session_id),
            )
            outcome: Any = starting.result().status_code, ending.result().status_code
            assert outcome in {(200, 200), (409, 200), (200, 404)}, outcome
            if outcome == (200, 404):
                assert stack.record(session_id)["status"] != "ended"
                end(http, session_id)
            stack.wait_status(session_id, "ended")
