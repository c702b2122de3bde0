"""What the catalog's agents say to everybody, spoken before anybody calls.

So the first caller of a new host or voice hears the greeting at once, and the apology also when the
voice's vendor has been down since. Later callers are served by what their sessions made.
"""

import asyncio
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from livekit.agents.utils import http_context

from assistant import log
from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.catalog.fields import VARIABLE
from assistant.settings import WorkerSettings
from assistant.worker import stages
from assistant.worker.speaking.sentences import cache_folder, cache_for, fixed_sentences

# Of one catalog; what is beyond is made by the first session that needs it.
MAX_SENTENCES = 200
# A vendor that is down, or another worker of this host that is at it, is left alone for so long,
# then for twice as long each time, for about an hour in all.
BACKOFF_BASE_S = 5.0
BACKOFF_MAX_S = 300.0
MAX_ROUNDS = 18
READY_POLL_S = 0.5
LOCK_NAME = ".making"

_log = log.get(__name__)


class SpeechAhead:
    """One worker's; `is_ready`: it takes jobs, and has time for this."""

    def __init__(
        self,
        settings: WorkerSettings,
        is_ready: Callable[[], bool],
        *,
        backoff_s: float = BACKOFF_BASE_S,
    ) -> None:
        self._settings = settings
        self._is_ready = is_ready
        self._backoff_s = backoff_s
        self._catalog: Catalog | None = None
        self._changed = asyncio.Event()

    def take(self, catalog: Catalog) -> None:
        """These are the agents from now on."""
        self._catalog = catalog
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; nothing that fails here is anybody's trouble but a later caller's."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while not self._is_ready():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(READY_POLL_S)
            try:
                await self._make_all()
            except Exception:  # noqa: BLE001 - a plugin may raise what it likes
                _log.exception("speech_ahead.failed")

    async def _make_all(self) -> None:
        after_s = self._backoff_s
        for _ in range(MAX_ROUNDS):
            missing = self._missing()
            if not missing or await self._make(missing):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(after_s):
                    await self._changed.wait()
                return
            after_s = min(2 * after_s, BACKOFF_MAX_S)
        _log.warning("speech_ahead.given_up", missing=len(self._missing()))

    def _missing(self) -> list[tuple[AgentSpec, str]]:
        """What is not there yet: everybody's apology first."""
        agents = self._catalog.agents.values() if self._catalog is not None else ()
        wanted = [
            (urgency, spec, text)
            for spec in agents
            if spec.modality != "text"
            for urgency, text in enumerate(fixed_sentences(spec))
            if not VARIABLE.search(text)
        ]
        wanted.sort(key=lambda each: each[0])
        return [
            (spec, text)
            for _, spec, text in wanted
            if not cache_for(spec, self._settings).has(spec, text)
        ][:MAX_SENTENCES]

    async def _make(self, missing: list[tuple[AgentSpec, str]]) -> bool:
        """Have them spoken, one after the other; False: try again."""
        with _alone(cache_folder(self._settings)) as is_alone:
            if not is_alone:
                return False
            down = set[str]()
            async with http_context.open():
                for spec, text in missing:
                    if self._changed.is_set():
                        return False
                    # One that does not exist shall not keep the others from being made.
                    voice = spec.tts.model_dump_json()
                    if voice not in down and not await self._speak(spec, text):
                        down.add(voice)
        _log.info("speech_ahead.made", missing=len(self._missing()))
        return not down

    async def _speak(self, spec: AgentSpec, text: str) -> bool:
        alone = spec.fallbacks.model_copy(update={"tts": ()})
        stage = stages.build_tts(spec.model_copy(update={"fallbacks": alone}), self._settings)
        try:
            return await cache_for(spec, self._settings).make(spec, text, stage.model)
        finally:
            await stage.model.aclose()
            await asyncio.gather(*(vendor.aclose() for _, vendor in stage.vendors))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other worker of this host is at it, for as long as this one is."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
