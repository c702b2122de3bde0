"""Tells the session which vendor failed, and which one is back."""

import time
from collections.abc import Callable
from typing import Any

from assistant import log
from assistant.sessions import events as ev
from assistant.worker.record.teller import Teller
from assistant.worker.stages import Stage, Stages

# A vendor that fails on and on is one fact, not one a second.
SAME_AGAIN_S = 5.0

_log = log.get(__name__)


class Troubles:
    """Follows the models of one conversation."""

    def __init__(self, teller: Teller, clock: Callable[[], float] = time.time) -> None:
        self._teller = teller
        self._clock = clock
        #: By stage, vendor's place and kind: when it was last told.
        self._told: dict[tuple[str, int, str], float] = {}

    def follow(self, stages: Stages) -> None:
        for stage in stages:
            for place, (_, vendor) in enumerate(stage.vendors):
                vendor.on("error", self._on_error(stage, place))
            if len(stage.vendors) > 1:
                stage.model.on(f"{stage.name}_availability_changed", self._on_change(stage))

    def _on_error(self, stage: Stage[Any], place: int) -> Callable[[Any], None]:
        def failed(error: Any) -> None:
            kind = type(getattr(error, "error", error)).__name__
            now = self._clock()
            last = self._told.get((stage.name, place, kind))
            if last is not None and now < last + SAME_AGAIN_S:
                return
            self._told[stage.name, place, kind] = now
            provider = stage.vendors[place][0]
            _log.warning(
                "provider.failed",
                session=self._teller.session_id,
                stage=stage.name,
                provider=provider,
                kind=kind,
            )
            self._teller.tell(
                ev.ProviderFailed(
                    at=now,
                    attempt=self._teller.attempt,
                    stage=stage.name,
                    provider=provider,
                    kind=kind,
                )
            )

        return failed

    def _on_change(self, stage: Stage[Any]) -> Callable[[Any], None]:
        def changed(event: Any) -> None:
            if not event.available:
                return  # its error was told
            changed_one = getattr(event, stage.name)
            provider = next(name for name, vendor in stage.vendors if vendor is changed_one)
            self._teller.tell(
                ev.ProviderRecovered(
                    at=self._clock(),
                    attempt=self._teller.attempt,
                    stage=stage.name,
                    provider=provider,
                )
            )

        return changed
