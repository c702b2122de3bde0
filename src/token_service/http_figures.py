"""How many requests a replica answered, and how fast: counted in memory, told to Prometheus."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
NO_ROUTE = "none"  # of requests for what there is not; their paths are callers' words
REQUESTS, SECONDS = "assistant_http_requests_total", "assistant_http_request_seconds"

_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS"})
_BOUNDS = (*map(str, BUCKETS_S), "+Inf")


class HttpFigures(Collector):
    """Fed by one thread, the event loop's; every request pays for it, hence no locks."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        #: Per method and route how many fell into each bucket, and at the end the sum of seconds.
        self._times: dict[tuple[str, str], list[float]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        if method not in _METHODS:
            method = "other"
        counted = (method, route, status)
        self._counts[counted] = self._counts.get(counted, 0) + 1
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = [0.0] * (len(_BOUNDS) + 1)
        times[bisect_left(BUCKETS_S, seconds)] += 1
        times[-1] += seconds

    def describe(self) -> Iterable[Metric]:
        return []  # as the registry's other collector

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            REQUESTS, "This replica's requests", labels=("method", "route", "status")
        )
        for (method, route, status), count in sorted(self._counts.items()):
            requests.add_metric((method, route, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily(
            SECONDS,
            "This replica's time to the beginning of the answer",
            labels=("method", "route"),
        )
        for labels, times in sorted(self._times.items()):
            buckets = list(zip(_BOUNDS, accumulate(times[:-1]), strict=True))
            seconds.add_metric(labels, buckets=buckets, sum_value=times[-1])
        yield seconds
