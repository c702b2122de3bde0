"""Which of several vendors answer: who failed is asked no more until a probe succeeds."""

import asyncio
from collections.abc import Awaitable, Callable

from assistant import log

PROBE_AFTER_S = 5.0
PROBE_AFTER_MAX_S = 60.0

_log = log.get(__name__)


class Availability:
    """Of `vendors` of them, by their places; one that is alone is always asked.

    `answers` asks the vendor at a place, within `patience_s`, whether it is back. That is done
    after `probe_after_s`, then after twice as long each time. `changed` hears of each change;
    `away` is the event that is logged of a vendor that is not back.
    """

    def __init__(
        self,
        vendors: int,
        answers: Callable[[int], Awaitable[bool]],
        changed: Callable[[int, bool], None],
        *,
        away: str,
        patience_s: float,
        probe_after_s: float,
    ) -> None:
        self.now = [True] * vendors
        self._answers = answers
        self._changed = changed
        self._away = away
        self._patience_s = patience_s
        self._probe_after_s = probe_after_s
        self._probes: dict[int, asyncio.Task[None]] = {}

    def order(self) -> list[int]:
        """Whom to ask, one after the other."""
        places = range(len(self.now))
        return [place for place in places if self.now[place]] or list(places)

    def failed(self, place: int) -> None:
        if len(self.now) == 1:
            return
        self._set(place, available=False)
        probe = self._probes.get(place)
        if probe is None or probe.done():
            self._probes[place] = asyncio.create_task(self._probe(place), name="vendor probe")

    async def aclose(self) -> None:
        for probe in self._probes.values():
            probe.cancel()
        await asyncio.gather(*self._probes.values(), return_exceptions=True)

    async def _probe(self, place: int) -> None:
        """Until the vendor answers again."""
        after_s = self._probe_after_s
        while True:
            await asyncio.sleep(after_s)
            after_s = min(2 * after_s, PROBE_AFTER_MAX_S)
            try:
                async with asyncio.timeout(self._patience_s):
                    if await self._answers(place):
                        break
            except Exception as error:  # noqa: BLE001 - whatever it is, the vendor is not back
                _log.info(self._away, place=place, kind=type(error).__name__)
        self._set(place, available=True)

    def _set(self, place: int, *, available: bool) -> None:
        if self.now[place] != available:
            self.now[place] = available
            self._changed(place, available)
