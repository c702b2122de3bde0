"""The vendor's voices, and which local voice speaks for each."""

from dataclasses import dataclass

from assistant.local_stack.stand_ins.errors import VoiceUnknownError


@dataclass(frozen=True)
class Voice:
    """`pitch` multiplies the local voice's own; 1 leaves it as it is."""

    voice_id: str
    description: str
    gender: str
    flite: str
    espeak: str
    pitch: float = 1.0


#: Female names speak with flite's slt, male ones with rms, two with the older kal and awb. Pitch
#: tells voices of one kind apart. slt and rms at their own pitch are what recognition knows best.
_FEMALE = [
    "Ashley",
    "Deborah",
    "Elizabeth",
    "Hana",
    "Julia",
    "Luna",
    "Olivia",
    "Pixie",
    "Priya",
    "Sarah",
    "Wendy",
]
_MALE = [
    "Alex",
    "Blake",
    "Carter",
    "Clive",
    "Craig",
    "Dennis",
    "Edward",
    "Mark",
    "Ronald",
    "Shaun",
    "Theodore",
    "Timothy",
]
_FEMALE_PITCH_STEP = 0.03
_MALE_PITCH_STEP = 0.03


def _table() -> dict[str, Voice]:
    voices = [
        Voice(
            name,
            "A clear female voice",
            "female",
            "slt",
            f"en-us+f{index % 4 + 1}",
            1.0 + index * _FEMALE_PITCH_STEP,
        )
        for index, name in enumerate(_FEMALE)
    ]
    voices += [
        Voice(
            name,
            "A clear male voice",
            "male",
            "rms",
            f"en-us+m{index % 7 + 1}",
            1.0 + index * _MALE_PITCH_STEP,
        )
        for index, name in enumerate(_MALE)
    ]
    voices += [
        Voice("Hades", "A gruff, mechanical male voice", "male", "kal", "en-us+m3", 0.8),
        Voice("Dominus", "A deep male voice", "male", "awb", "en-us+m6", 0.9),
    ]
    return {voice.voice_id: voice for voice in voices}


VOICES = _table()
DEFAULT_VOICE = "Ashley"
#: Cloned voices are called `<workspace>__<name>`. Source: the vendor's page on voice cloning.
CLONE_MARK = "__"


def find_voice(voice_id: str) -> Voice:
    """The voice of that name; a cloned one speaks with the default voice.

    Raises:
        VoiceUnknownError: there is none.
    """
    if CLONE_MARK in voice_id:
        return VOICES[DEFAULT_VOICE]
    try:
        return VOICES[voice_id]
    except KeyError:
        raise VoiceUnknownError(voice_id) from None
