"""Speech by the espeak-ng library of the espeakng-loader wheel, where nothing is installed."""

import ctypes
import functools
import importlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from assistant.rehearsal.errors import SpeechUnavailableError
from assistant.rehearsal.waveform import Samples

VOICE = "espeak"

# Source: espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_PARAMETER_RATE = 1
# Slower than espeak's 175 words a minute: recognisers follow better.
_WORDS_PER_MINUTE = 150

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

# The library keeps one synthesiser in globals, so it is initialised once and used by one
# thread at a time.
_lock = threading.Lock()


@functools.cache
def _load() -> tuple[Any, int]:
    """The initialised library and its sample rate."""
    try:
        loader = importlib.import_module("espeakng_loader")
        library = ctypes.CDLL(loader.get_library_path())
    except (ImportError, OSError) as error:
        raise SpeechUnavailableError(
            reason=f"neither flite nor espeak-ng can be had ({error})",
            remedy="install flite, or this project with its `local` extra, or use a recording",
        ) from error
    rate = library.espeak_Initialize(
        _AUDIO_OUTPUT_SYNCHRONOUS, 0, loader.get_data_path().encode(), _INITIALIZE_DONT_EXIT
    )
    if rate <= 0:
        raise SpeechUnavailableError(
            reason="espeak-ng could not be initialised", remedy="install flite"
        )
    library.espeak_SetVoiceByName(b"en-us")
    library.espeak_SetParameter(_PARAMETER_RATE, _WORDS_PER_MINUTE, 0)
    return library, rate


def _collector(chunks: list[bytes]) -> Callable[..., int]:
    def collect(wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            chunks.append(ctypes.string_at(wave, count * 2))
        return 0

    return _Callback(collect)


def synthesise(text: str) -> tuple[int, Samples]:
    """Sample rate and mono samples of `text`; blocks, so call it in a thread.

    Raises:
        SpeechUnavailableError: the library cannot be had, or it failed.
    """
    with _lock:
        library, rate = _load()
        chunks: list[bytes] = []
        callback = _collector(chunks)
        library.espeak_SetSynthCallback(callback)
        encoded = text.encode()
        status = library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        library.espeak_Synchronize()
    if status != 0:
        raise SpeechUnavailableError(
            reason=f"espeak-ng failed with status {status}", remedy="install flite"
        )
    return rate, np.frombuffer(b"".join(chunks), dtype="<i2").astype(np.int16)
