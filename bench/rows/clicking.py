"""From the click on the talk page until the greeting is audible, in real Chromium.

Both contenders are the shipped page and the same service. `one after the other` finishes each step
before the next: microphone, token, connecting, publishing the microphone, start. The servers are
40 ms away, as a caller's are; `… at loopback` are the same without a distance. Each visit is a
fresh profile, and begins when the worker's pool is full again.
"""

from bench.click import Clicked, clicked_system, one_run
from bench.results import Row

NUMBERS = ("1d", "1d-wait")
# Contender -> the order of its steps, and whether its servers are far.
WAYS = {
    "ours": ("overlapped", True),
    "one after the other": ("one after the other", True),
    "ours at loopback": ("overlapped", False),
    "one after the other at loopback": ("one after the other", False),
}
VISITS_A_ROUND = 3


async def measure(rounds: int) -> list[Row]:
    """So many visits each way in a round, and the next round in the opposite order."""
    audible: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    alone: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    async with clicked_system() as clicked:
        for way in WAYS:  # what only the first visit pays for
            await visits(clicked, way, 1)
        for number in range(rounds):
            for way in list(WAYS) if number % 2 == 0 else reversed(WAYS):
                runs = await visits(clicked, way, VISITS_A_ROUND)
                audible[way].append([run["audible"] for run in runs])
                alone[way].append([run["joined"] - run["connected"] for run in runs])
    return [
        Row(
            number="1d",
            title="From the click until the greeting is audible",
            unit="s",
            better="lower",
            statistic="p50",
            rounds=audible,
            note=(
                "The shipped page in Chromium; only the order of its steps differs. Its requests "
                "and LiveKit's signalling travel 40 ms to and fro, media and TLS nothing."
            ),
        ),
        Row(
            number="1d-wait",
            title="How long a connected caller waits for the agent",
            unit="s",
            better="lower",
            statistic="p50",
            rounds=alone,
            note="Below 0 the agent was in the room before the caller was.",
        ),
    ]


async def visits(clicked: Clicked, way: str, count: int) -> list[dict[str, float]]:
    order, far = WAYS[way]
    return [await one_run(clicked, order=order, far=far) for _ in range(count)]
