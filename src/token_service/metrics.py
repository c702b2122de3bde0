"""/metrics: Prometheus's text format.

Two kinds of figures. What one replica sees (HTTP requests) it counts in memory, and whoever adds
up replicas gets the whole. What the fleet does is counted in Redis, in the step that changes a
session, or is Redis's state of the moment; every replica shows the same, so that a sum over
replicas would be wrong: take the maximum.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from assistant.sessions import tally
from assistant.sessions.errors import StoreUnavailableError
from assistant.sessions.store.figures import Counts, SessionFigures
from assistant.sessions.store.workers import Beat, fleet_jobs
from token_service.deadline import store_in_time
from token_service.http_figures import REQUESTS, SECONDS, HttpFigures
from token_service.overview import Fleet

# Several scrapers, or a flood of them, cost Redis one look a second.
FLEET_AGE_S = 1.0


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as docs/operations.md lists it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


_ALL = (
    Described("assistant_redis_up", "gauge", (), "1: Redis answered; 0: what it knows is missing"),
    Described("assistant_sessions", "gauge", ("state",), "Stored sessions by state"),
    Described("assistant_live_sessions", "gauge", ("agent",), "Sessions that are not over"),
    Described("assistant_sessions_created_total", "counter", (), "Sessions that were made"),
    Described(
        "assistant_sessions_over_total", "counter", ("state", "reason"), "Ended and failed ones"
    ),
    Described("assistant_attempts_total", "counter", (), "Attempts to bring an agent"),
    Described("assistant_agents_lost_total", "counter", ("reason",), "Attempts given up"),
    Described("assistant_stage_seconds", "histogram", ("stage",), "How long each stage took"),
    Described("assistant_turns_total", "counter", ("agent",), "Answers that agents gave"),
    Described(
        "assistant_turns_interrupted_total", "counter", ("agent",), "Those that were interrupted"
    ),
    Described(
        "assistant_turn_seconds", "histogram", ("agent", "latency"), "Latencies of answered turns"
    ),
    Described(
        "assistant_usage_total",
        "counter",
        ("agent", "kind", "provider", "model", "quantity"),
        "What vendors' models were used: tokens, characters, seconds of speech",
    ),
    Described(
        "assistant_cost_total",
        "counter",
        ("agent", "kind", "provider", "model", "currency"),
        "What that cost, where it has a price",
    ),
    Described("assistant_slots_used", "gauge", (), "Slots in use"),
    Described("assistant_slots_limit", "gauge", (), "MAX_BOTS"),
    Described("assistant_queue_waiting", "gauge", (), "Sessions in the queue"),
    Described("assistant_queue_limit", "gauge", (), "Places in the queue"),
    Described("assistant_workers", "gauge", ("state",), "Workers: serving, draining, away"),
    Described("assistant_worker_jobs", "gauge", (), "Jobs that run, over all workers"),
    Described("assistant_worker_jobs_limit", "gauge", (), "Jobs that the workers could run"),
    Described("assistant_worker_warm", "gauge", (), "Job processes that are ready"),
    Described("assistant_worker_standby", "gauge", (), "Those that stand by for a session"),
    Described(
        REQUESTS,
        "counter",
        ("method", "route", "status"),
        "This replica's requests",
    ),
    Described(
        SECONDS,
        "histogram",
        ("method", "route"),
        "This replica's time to the beginning of the answer",
    ),
)
METRICS = {metric.name: metric for metric in _ALL}


@dataclass(frozen=True, slots=True)
class _Seen:
    counts: Counts
    totals: dict[str, float]
    beats: list[Beat]


class Metrics:
    """`text` is the page; `http` is fed by Exchanges."""

    def __init__(
        self, figures: SessionFigures, fleet: Fleet, *, max_bots: int, queue_limit: int
    ) -> None:
        self._figures = figures
        self._fleet = fleet
        self._limits = max_bots, queue_limit
        self.http = HttpFigures()
        self._registry = CollectorRegistry()
        self._registry.register(self.http)
        self._fleet_figures = _FleetCollector(*self._limits)
        self._registry.register(self._fleet_figures)
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def text(self) -> bytes:
        """The page. With Redis away it has this replica's own figures, and says so."""
        async with self._asking:
            if time.monotonic() >= self._asked_at + FLEET_AGE_S:
                self._fleet_figures.seen = await self._look()
                self._asked_at = time.monotonic()
        return generate_latest(self._registry)

    async def _look(self) -> _Seen | None:
        try:
            async with store_in_time():
                counts = await self._figures.counts()
                totals = await self._figures.totals()
                return _Seen(counts, totals, await self._fleet.beats())
        except StoreUnavailableError:
            return None


class _FleetCollector(Collector):
    """Turns what was read from Redis last into metrics; None: Redis did not answer."""

    def __init__(self, max_bots: int, queue_limit: int) -> None:
        self._max_bots = max_bots
        self._queue_limit = queue_limit
        self.seen: _Seen | None = None

    def describe(self) -> Iterable[Metric]:
        return []  # Nothing is known before the first look, and nothing could clash.

    def collect(self) -> Iterator[Metric]:
        seen = self.seen
        yield _gauge("assistant_redis_up", {(): float(seen is not None)})
        yield _gauge("assistant_slots_limit", {(): self._max_bots})
        yield _gauge("assistant_queue_limit", {(): self._queue_limit})
        if seen is None:
            return
        counts, beats = seen.counts, seen.beats
        yield _gauge("assistant_sessions", {(s,): n for s, n in counts.statuses.items()})
        yield _gauge("assistant_live_sessions", {(a,): n for a, n in counts.agents.items()})
        yield _gauge("assistant_slots_used", {(): counts.slots})
        yield _gauge("assistant_queue_waiting", {(): counts.waiting})
        away = sum(1 for beat in beats if not beat.registered and not beat.draining)
        draining = sum(1 for beat in beats if beat.draining)
        serving = len(beats) - away - draining
        workers = {("serving",): serving, ("draining",): draining, ("away",): away}
        yield _gauge("assistant_workers", workers)
        yield _gauge("assistant_worker_jobs", {(): sum(beat.jobs for beat in beats)})
        yield _gauge("assistant_worker_jobs_limit", {(): fleet_jobs(beats)})
        yield _gauge("assistant_worker_warm", {(): sum(beat.warm for beat in beats)})
        yield _gauge("assistant_worker_standby", {(): sum(beat.standby for beat in beats)})
        yield from _totals(seen.totals)


def _totals(totals: dict[str, float]) -> Iterator[Metric]:
    yield _counter("assistant_sessions_created_total", {(): totals.get(tally.CREATED, 0)})
    yield _counter("assistant_attempts_total", {(): totals.get(tally.ATTEMPTS, 0)})
    yield _counter(
        "assistant_sessions_over_total",
        {
            tuple(name.removeprefix(tally.OVER).split(":")): count
            for name, count in totals.items()
            if name.startswith(tally.OVER)
        },
    )
    yield _counter(
        "assistant_agents_lost_total",
        {
            (name.removeprefix(tally.LOST),): count
            for name, count in totals.items()
            if name.startswith(tally.LOST)
        },
    )
    stages: dict[tuple[str, ...], str] = {
        (s.name,): tally.bucket_field(s.name, "") for s in tally.STAGES
    }
    yield _histogram("assistant_stage_seconds", stages, totals)
    yield from _talk(totals)


def _talk(totals: dict[str, float]) -> Iterator[Metric]:
    """Turns and usage, whose fields are labels with `|` between them."""
    turns, used = _labelled(totals, tally.TURN), _labelled(totals, tally.USAGE)
    for name, metric in (("count", "turns"), ("interrupted", "turns_interrupted")):
        counts = {labels[:1]: n for labels, n in turns.items() if labels[1:] == (name,)}
        yield _counter(f"assistant_{metric}_total", counts)
    agents = sorted({labels[0] for labels in turns})
    latencies: dict[tuple[str, ...], str] = {
        (agent, name.removesuffix("_s")): f"{tally.TURN}{agent}|{name}|"
        for agent in agents
        for name in tally.LATENCIES
    }
    yield _histogram("assistant_turn_seconds", latencies, totals)
    costs = {labels: n for labels, n in used.items() if labels[-1].startswith("cost ")}
    yield _counter(
        "assistant_usage_total", {labels: n for labels, n in used.items() if labels not in costs}
    )
    yield _counter(
        "assistant_cost_total",
        {(*labels[:-1], labels[-1].removeprefix("cost ")): n for labels, n in costs.items()},
    )


def _labelled(totals: dict[str, float], prefix: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(name.removeprefix(prefix).split("|")): amount
        for name, amount in totals.items()
        if name.startswith(prefix)
    }


def _histogram(
    name: str, fields: Mapping[tuple[str, ...], str], totals: dict[str, float]
) -> Metric:
    """`fields`: for each labels the beginning of the fields that count its buckets."""
    described = METRICS[name]
    family = HistogramMetricFamily(described.name, described.help, labels=described.labels)
    for labels, field in fields.items():
        buckets, so_far = [], 0.0
        for bound in (*map(str, tally.BUCKETS_S), "+Inf"):
            so_far += totals.get(field + bound, 0)
            buckets.append((bound, so_far))
        family.add_metric(labels, buckets=buckets, sum_value=totals.get(f"{field}sum", 0))
    return family


def _gauge(name: str, values: Mapping[Any, float]) -> Metric:
    described = METRICS[name]
    family = GaugeMetricFamily(name, described.help, labels=described.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _counter(name: str, values: Mapping[Any, float]) -> Metric:
    described = METRICS[name]
    family = CounterMetricFamily(name, described.help, labels=described.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
