"""What can go wrong in the stand-ins.

StandInError
├── ScriptError           the YAML of replies and utterances is not usable
├── EngineMissingError    no program or library can speak or recognise here
├── DecoderLostError      the recognising process went away or stopped answering
├── SynthesisError        the speech engine gave no usable audio
├── VoiceUnknownError     no such voice
├── FaultFailedError      a fault asks for an error answer
└── FaultClosedError      a fault asks for the connection to be cut
"""

from dataclasses import dataclass
from pathlib import Path


class StandInError(Exception):
    """Base of the stand-ins' errors."""


@dataclass
class ScriptError(StandInError):
    path: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


@dataclass
class EngineMissingError(StandInError):
    wanted: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.wanted} is not available: {self.remedy}"


@dataclass
class DecoderLostError(StandInError):
    reason: str

    def __str__(self) -> str:
        return f"the recogniser is gone: {self.reason}"


@dataclass
class SynthesisError(StandInError):
    engine: str
    reason: str

    def __str__(self) -> str:
        return f"{self.engine} did not speak: {self.reason}"


@dataclass
class VoiceUnknownError(StandInError):
    voice_id: str

    def __str__(self) -> str:
        return f"Unknown voice: {self.voice_id} not found!"


@dataclass
class FaultFailedError(StandInError):
    status: int

    def __str__(self) -> str:
        return f"a fault was ordered: HTTP status {self.status}"


class FaultClosedError(StandInError):
    """A fault was ordered: the connection is cut."""
