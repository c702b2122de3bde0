"""What a shorter wait costs in callers cut off: `python -m bench.endpointing`.

Sentences of several voices are heard by the worker's own detectors, whole and broken off where
people stop to think. The detectors see what they see in a call, but not in real time. For every
pair of delays it is then counted how many of the broken ones the agent would have answered into,
by the length of the pause, and how long the whole ones waited. The SDK's own delays come first.

No figure depends on this machine's speed: all times are those of the audio.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, quantiles

import numpy as np
from livekit.agents.inference.eot.base import MIN_SILENCE_DURATION_MS
from livekit.agents.inference.eot.languages import LOCAL_LANGUAGES
from livekit.local_inference import EOT, VAD, VAD_WINDOW_SAMPLES

from assistant.local_stack.stand_ins.espeak import EspeakEngine
from assistant.local_stack.stand_ins.flite import FliteEngine
from assistant.local_stack.stand_ins.pcm import Samples, resample, trim
from assistant.local_stack.stand_ins.voices import VOICES

RATE = 16_000
WINDOW_S = VAD_WINDOW_SAMPLES / RATE
# Of the worker's voice activity detection: speech goes on above the second, begins above the first.
BEGINS, GOES_ON = 0.5, 0.35
# Two windows of speech cancel a wait.
NOTICED_S = 2 * WINDOW_S
TAIL_S = 0.6
LEAD_S = 0.3
# A pause is cut into the quietest place this near to where the words' lengths put it.
NEAR_S = 0.08
STEP_S = 0.01
# All that the turn detector takes. Source: `_CLIENT_BUFFER_SECONDS` of the SDK's local transport.
HEARD_S = 1.2
SPEAKERS = ("Ashley", "Olivia", "Dennis", "Mark", "Dominus")
PAUSES_S = (0.3, 0.4, 0.5, 0.6, 0.8, 1.2, 2.0)
SDK_DELAYS_S = (0.3, 2.5)
# Where a bar stands a person may stop to think.
SENTENCES = (
    "I would like to | book a table for | four people on Friday.",
    "My number is five five five | two one | nine eight three.",
    "Can you tell me | what the weather | will be like tomorrow?",
    "I am calling about | the invoice that | came last week.",
    "Please send it to | twelve Station Road | in Hamburg.",
    "What time is it?",
    "Yes, please.",
    "No, thank you, | that is all.",
    "I need a taxi | from the hotel to | the airport at six.",
    "How much is | the room with | a view of the sea?",
    "The train was late, so | I missed | my appointment.",
    "My name is | Margaret Miller and | I live in Boston.",
    "Could you | repeat that | more slowly?",
    "I think | it was on the third of May | or the fourth.",
    "We are two adults and | three children, | one of them a baby.",
    "It does not work | since I | changed the password.",
    "Where can I | park my car?",
    "Tell me | a joke about | two penguins.",
    "That sounds good, but | can we do it | a little earlier?",
    "I want to cancel | my subscription.",
)


@dataclass(frozen=True)
class Ear:
    """What the detectors made of one clip: how sure the turn detector was that it had ended."""

    whole: bool
    probability: float


@dataclass(frozen=True)
class Cost:
    """`cut_off`: by seconds of pause, the share of broken sentences that were answered into."""

    min_delay_s: float
    max_delay_s: float
    threshold: float
    cut_off: dict[float, float]
    waits_s: Sequence[float]

    def row(self) -> dict[str, object]:
        return {
            "min_delay_s": self.min_delay_s,
            "max_delay_s": self.max_delay_s,
            "threshold": self.threshold,
            "cut_off": {f"{pause:g}": round(share, 3) for pause, share in self.cut_off.items()},
            "wait_mean_s": round(mean(self.waits_s), 3),
            "wait_p50_s": round(quantiles(self.waits_s, n=20)[9], 3),
            "wait_p95_s": round(quantiles(self.waits_s, n=20)[18], 3),
        }


async def clips(speakers: Sequence[str]) -> list[tuple[bool, Samples]]:
    """Every sentence by every speaker and engine, whole, and up to each of its bars."""
    made: list[tuple[bool, Samples]] = []
    for sentence in SENTENCES:
        parts = [part.strip() for part in sentence.split("|")]
        text = " ".join(parts)
        for speaker in speakers:
            for engine in (FliteEngine(), EspeakEngine()):
                spoken = await engine.speak(text, VOICES[speaker], 1.0)
                samples, cut_s = trim(spoken.samples, spoken.rate)
                audio = resample(samples, spoken.rate, RATE)
                made.append((True, audio))
                words = 0
                for part in parts[:-1]:
                    words += len(part.split())
                    ends_s = spoken.words[words - 1].end_s - cut_s
                    made.append((False, audio[: _quiet_place(audio, ends_s)]))
    return made


def _quiet_place(audio: Samples, at_s: float) -> int:
    step = round(STEP_S * RATE)
    first, last = (max(0, round((at_s + shift) * RATE)) for shift in (-NEAR_S, NEAR_S))
    places = range(first, max(first + 1, min(last, len(audio) - step)), step)
    return min(places, key=lambda place: float(np.abs(audio[place : place + step] * 1.0).mean()))


def hear(audio: Samples, detector: EOT) -> float | None:
    """The turn detector's word on the silence behind the clip; None: no speech was heard."""
    silence, lead = np.zeros(round(TAIL_S * RATE), np.int16), round(LEAD_S * RATE)
    heard = np.concatenate((np.zeros(lead, np.int16), audio, silence))
    vad, speech_s, silence_s, speaks, until = VAD(), 0.0, 0.0, False, None
    for at in range(0, len(heard) - VAD_WINDOW_SAMPLES, VAD_WINDOW_SAMPLES):
        level = vad.predict(heard[at : at + VAD_WINDOW_SAMPLES])
        # The SDK asks with the window after the one that filled the silence.
        if speaks and silence_s >= MIN_SILENCE_DURATION_MS / 1000:
            until = at + VAD_WINDOW_SAMPLES
            if at > lead + len(audio):
                break
        if level >= BEGINS or (speaks and level > GOES_ON):
            speech_s, silence_s = speech_s + WINDOW_S, 0.0
            speaks = speaks or speech_s >= NOTICED_S - WINDOW_S / 2
        else:
            speech_s, silence_s = 0.0, silence_s + WINDOW_S
    if until is None:
        return None
    return float(detector.predict(heard[max(0, until - round(HEARD_S * RATE)) : until]))


def cost(ears: Iterable[Ear], min_delay_s: float, max_delay_s: float, threshold: float) -> Cost:
    def waits(whole: bool) -> list[float]:
        return [
            max_delay_s if ear.probability < threshold else min_delay_s
            for ear in ears
            if ear.whole is whole
        ]

    broken = waits(whole=False)
    return Cost(
        min_delay_s,
        max_delay_s,
        threshold,
        {pause: mean(wait < pause + NOTICED_S for wait in broken) for pause in PAUSES_S},
        waits(whole=True),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--min-delay", type=float, nargs="+", default=[0.3, 0.5])
    parser.add_argument("--max-delay", type=float, nargs="+", default=[0.6, 0.9, 1.5, 2.5])
    parser.add_argument("--threshold", type=float, nargs="+", default=[LOCAL_LANGUAGES["en"]])
    options = parser.parse_args()
    detector = EOT()
    ears = [
        Ear(whole, probability)
        for whole, audio in asyncio.run(clips(SPEAKERS))
        if (probability := hear(audio, detector)) is not None
    ]
    print(json.dumps({"whole": sum(ear.whole for ear in ears), "clips": len(ears)}))
    for whole in (True, False):
        probabilities = [ear.probability for ear in ears if ear.whole is whole]
        tenths = [round(cut, 3) for cut in quantiles(probabilities, n=10)]
        print(json.dumps({"whole": whole, "probability_tenths": tenths}))
    print(json.dumps(cost(ears, *SDK_DELAYS_S, LOCAL_LANGUAGES["en"]).row()))
    for threshold in options.threshold:
        for min_delay_s in options.min_delay:
            for max_delay_s in options.max_delay:
                print(json.dumps(cost(ears, min_delay_s, max_delay_s, threshold).row()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
