"""Both sides' words, as the agent publishes them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from livekit import rtc

from assistant.rehearsal.bell import Bell

# Source: livekit-agents' types.py; the names are LiveKit's protocol for transcripts.
TOPIC = "lk.transcription"
SEGMENT_ATTRIBUTE = "lk.segment_id"
FINAL_ATTRIBUTE = "lk.transcription_final"
TRACK_ATTRIBUTE = "lk.transcribed_track_id"

# An hour of brisk talk; later segments are left out.
MAX_LINES = 2000

Who = Literal["caller", "agent"]


@dataclass(frozen=True)
class Line:
    """One segment of the transcript as it stands.

    `first_at` and `at` are readings of `time.monotonic()`: when the segment appeared, and when
    it last changed, which for a final one is when it became final. `track` is the track that
    was transcribed, None where the agent names none.
    """

    who: Who
    identity: str
    segment: str
    text: str
    final: bool
    first_at: float
    at: float
    track: str | None


def _is_final(info: rtc.TextStreamInfo) -> bool:
    return (info.attributes or {}).get(FINAL_ATTRIBUTE, "").lower() == "true"


class Transcript:
    """Collects text streams into lines, in the order in which the segments appeared.

    `on_line`, when set, is called with every new state of a line.
    """

    def __init__(self, bell: Bell) -> None:
        self.on_line: Callable[[Line], None] | None = None
        self._bell = bell
        self._lines: dict[tuple[str, str], Line] = {}
        # The newest stream of each segment: an interim result overtaken by a later one, while
        # its chunks were still on their way, must not undo it.
        self._newest: dict[tuple[str, str], str] = {}
        # Segments in the order of their streams' headers: the SDK reads the streams side by side,
        # so that the words of a later one may come first.
        self._order: dict[tuple[str, str], None] = {}

    @property
    def lines(self) -> list[Line]:
        return [self._lines[key] for key in self._order if key in self._lines]

    async def read(self, reader: rtc.TextStreamReader, *, who: Who, identity: str) -> None:
        """Reads one stream to its end.

        A user's segment comes as many streams, each holding all of its text so far, the last
        one marked final in its header. An agent's comes as one stream of pieces, marked final
        in its trailer.
        """
        info = reader.info
        segment = (info.attributes or {}).get(SEGMENT_ATTRIBUTE, info.stream_id)
        key = (identity, segment)
        if key not in self._lines and len(self._lines) >= MAX_LINES:
            reader.close()
            return
        self._newest[key] = info.stream_id
        self._order.setdefault(key)
        text = ""
        try:
            async for piece in reader:
                text += piece
                self._put(key, info, who=who, text=text, final=False)
        except rtc.StreamError:
            # The sender left, or we did: what has been read stands, unfinished.
            return
        finally:
            # One that is not read to its end would be fed for as long as the process lives.
            reader.close()
        self._put(key, info, who=who, text=text, final=_is_final(info))

    def _put(
        self, key: tuple[str, str], info: rtc.TextStreamInfo, *, who: Who, text: str, final: bool
    ) -> None:
        old = self._lines.get(key)
        if self._newest.get(key) != info.stream_id or (old is not None and old.final):
            return
        now = time.monotonic()
        if old is None:
            track = (info.attributes or {}).get(TRACK_ATTRIBUTE)
            line = Line(who, key[0], key[1], text, final, first_at=now, at=now, track=track)
        elif (old.text, old.final) == (text, final):
            return
        else:
            line = replace(old, text=text, final=final, at=now)
        self._lines[key] = line
        if self.on_line is not None:
            self.on_line(line)
        self._bell.ring()
