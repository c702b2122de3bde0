"""How long an idle job process takes to be replaced, from what workers' beats say. Pure.

By Little's law: the pool's missing processes, added up over time, divided by how many were taken,
is how long each was missing. Beats come once a second: a time shorter than that is right on
average over many starts, and a matter of luck over a few.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Hours at two looks a second; later looks are left out.
MAX_LOOKS = 20_000


@dataclass(frozen=True)
class Refill:
    """`mean_s` of one process; `ran_dry`: a pool was empty, so it may be longer than this."""

    mean_s: float
    taken: int
    ran_dry: bool


@dataclass
class RefillMeter:
    """Takes looks at the workers' warm processes; `refill` then tells."""

    _looks: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def saw(self, at: float, warm: Mapping[str, int]) -> None:
        if len(self._looks) < MAX_LOOKS:
            self._looks.append((at, dict(warm)))

    @property
    def is_full(self) -> bool:
        """Whether every pool is as full as it ever was."""
        return bool(self._looks) and self._missing(self._looks[-1][1], self._targets()) == 0

    def refill(self, taken: int) -> Refill | None:
        """`taken`: how many jobs began meanwhile; None: none did, or nobody looked."""
        targets = self._targets()
        area = 0.0
        for (at, warm), (until, _) in zip(self._looks, self._looks[1:], strict=False):
            area += (until - at) * self._missing(warm, targets)
        if taken <= 0 or not targets:
            return None
        dry = any(warm.get(worker, 1) == 0 for _, warm in self._looks for worker in targets)
        return Refill(mean_s=area / taken, taken=taken, ran_dry=dry)

    def _targets(self) -> dict[str, int]:
        targets: dict[str, int] = {}
        for _, warm in self._looks:
            for worker, count in warm.items():
                targets[worker] = max(count, targets.get(worker, 0))
        return targets

    @staticmethod
    def _missing(warm: Mapping[str, int], targets: Mapping[str, int]) -> int:
        return sum(target - warm.get(worker, target) for worker, target in targets.items())
