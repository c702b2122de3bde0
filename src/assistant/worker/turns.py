"""From the SDK's per-message metrics to one report a turn. Pure: all latency arithmetic is here.

Source: `MetricsReport` of livekit-agents 1.8.9: the user's message carries the delays up to the
decision that their turn ended, the agent's message what followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class TurnReport:
    """How long the parts of one answered turn took, in seconds; None: the SDK did not say.

    `turn` counts the agent's answers from 1; the greeting is not an answer.
    """

    turn: int
    transcription_delay_s: float | None
    end_of_turn_delay_s: float | None
    llm_ttft_s: float | None
    tts_ttfb_s: float | None
    e2e_latency_s: float | None
    interrupted: bool


@dataclass(frozen=True)
class Turns:
    """What is known so far: how many turns were answered, and the user's open one."""

    answered: int = 0
    open_turn: Mapping[str, Any] | None = None

    def add(
        self, role: Literal["user", "assistant"], metrics: Mapping[str, Any], *, interrupted: bool
    ) -> tuple["Turns", TurnReport | None]:
        """The state after one more message, and the report if the message completes a turn."""
        if role == "user":
            # Of several utterances before one answer, the last one started the wait.
            return Turns(self.answered, metrics), None
        if self.open_turn is None:
            return self, None
        report = TurnReport(
            turn=self.answered + 1,
            transcription_delay_s=_seconds(self.open_turn, "transcription_delay"),
            end_of_turn_delay_s=_seconds(self.open_turn, "end_of_turn_delay"),
            llm_ttft_s=_seconds(metrics, "llm_node_ttft"),
            tts_ttfb_s=_seconds(metrics, "tts_node_ttfb"),
            e2e_latency_s=_seconds(metrics, "e2e_latency"),
            interrupted=interrupted,
        )
        return Turns(self.answered + 1, None), report


def _seconds(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    # The SDK writes -1 for "not measured" in places.
    return float(value) if isinstance(value, int | float) and value >= 0 else None
