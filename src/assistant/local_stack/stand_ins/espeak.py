"""Speech from espeak-ng's library, out of the espeakng-loader wheel."""

import asyncio
import ctypes
import importlib
import importlib.util
import threading
from typing import Any

import numpy as np

from assistant.local_stack.stand_ins.errors import EngineMissingError, SynthesisError
from assistant.local_stack.stand_ins.speech import Speech, SpokenWord
from assistant.local_stack.stand_ins.voices import Voice

# Names and values. Source: espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 1
EVENT_END = 0
EVENT_WORD = 1
PARAMETER_RATE = 1
PARAMETER_PITCH = 3
NORMAL_WORDS_PER_MINUTE = 160
NORMAL_PITCH = 50


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def installed() -> bool:
    return importlib.util.find_spec("espeakng_loader") is not None


def place_words(text: str, marks: list[tuple[int, float]], end_s: float) -> tuple[SpokenWord, ...]:
    """Give each word of `text` the first mark inside it; `marks` are (character, second)."""
    words: list[tuple[str, float]] = []
    position = 0
    for word in text.split():
        start = text.index(word, position)
        position = start + len(word)
        inside = [at for character, at in marks if start <= character < position]
        words.append((word, inside[0] if inside else (words[-1][1] if words else 0.0)))
    ends = [start for _, start in words[1:]] + [end_s]
    return tuple(
        SpokenWord(word, start, max(start, end))
        for (word, start), end in zip(words, ends, strict=True)
    )


class EspeakEngine:
    """The library holds one global state: sentences go through it one at a time, in a thread."""

    name = "espeak"

    def __init__(self) -> None:
        if not installed():
            raise EngineMissingError("espeak-ng", "install the extra `local`, or flite")
        loader: Any = importlib.import_module("espeakng_loader")
        self._library = ctypes.CDLL(loader.get_library_path())
        self._library.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        self._rate: int = self._library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, loader.get_data_path().encode(), INITIALIZE_DONT_EXIT
        )
        if self._rate <= 0:
            raise EngineMissingError("espeak-ng", "its voice data could not be read")
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._marks: list[tuple[int, float]] = []
        # The library keeps only a pointer: this reference keeps the callback alive.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    async def speak(self, text: str, voice: Voice, speaking_rate: float) -> Speech:
        """Raises: SynthesisError, where the library refuses the voice or the text."""
        return await asyncio.to_thread(self._speak, text, voice, speaking_rate)

    def _speak(self, text: str, voice: Voice, speaking_rate: float) -> Speech:
        data = text.encode()
        words_per_minute = round(NORMAL_WORDS_PER_MINUTE * speaking_rate)
        pitch = max(0, min(100, round(NORMAL_PITCH * voice.pitch)))
        with self._lock:
            self._pieces, self._marks = [], []
            if self._library.espeak_SetVoiceByName(voice.espeak.encode()) != 0:
                raise SynthesisError(self.name, f"no voice {voice.espeak}")
            self._library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
            self._library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
            status = self._library.espeak_Synth(
                data, len(data) + 1, 0, 0, 0, CHARS_UTF8, None, None
            )
            pieces, marks = self._pieces, self._marks
        if status != 0:
            raise SynthesisError(self.name, f"status {status}")
        samples = np.frombuffer(b"".join(pieces), np.int16)
        return Speech(samples, self._rate, place_words(text, marks, len(samples) / self._rate))

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        """Called by the library with each piece of audio; 0 asks for more."""
        if samples and count:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        index = 0
        while events[index].type != EVENT_END:
            event = events[index]
            if event.type == EVENT_WORD:
                self._marks.append((event.text_position - 1, event.sample / self._rate))
            index += 1
        return 0
