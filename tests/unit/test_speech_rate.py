"""The agent's speaking rate is estimated as the SDK does it."""

from importlib.util import find_spec, module_from_spec
from types import ModuleType

import numpy as np
import pytest
from livekit.agents.voice.transcription import _speaking_rate

from assistant.worker.speaking import speech_rate


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("length_s", [1.0, 0.6, 0.0375, 0.03, 0.025, 0.02])
async def test_it_is_the_sdks_own_figure(rate: int, length_s: float) -> None:
    """A second of sound, the shorter rest of a sentence, and too little to say anything."""
    rng = np.random.default_rng(rate)
    sound = (rng.normal(size=int(rate * length_s)) * 0.1).astype(np.float32)
    untouched = fresh(_speaking_rate.__name__)
    stream = untouched.SpeakingRateDetector().stream()
    theirs = stream._spectral_flux(sound, rate)
    assert speech_rate.spectral_flux(stream, sound, rate) == pytest.approx(theirs, rel=1e-9)
    await stream.aclose()


def fresh(name: str) -> ModuleType:
    """The module as it is on disk, whatever was installed in this process."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
