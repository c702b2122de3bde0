"""Turn reports: all latency arithmetic."""

from assistant.worker.turns import Turns

USER = {"transcription_delay": 0.1, "end_of_turn_delay": 0.35}
AGENT = {"llm_node_ttft": 0.2, "tts_node_ttfb": 0.12, "e2e_latency": 0.7}


def test_a_greeting_is_not_a_turn() -> None:
    """The agent's first words answer nobody."""
    turns, report = Turns().add("assistant", {"tts_node_ttfb": 0.1}, interrupted=False)
    assert report is None
    assert turns.answered == 0


def test_an_answer_completes_the_turn_with_both_sides_figures() -> None:
    """The delays up to the decision come with the user's message, the rest with the agent's."""
    turns, nothing = Turns().add("user", USER, interrupted=False)
    assert nothing is None
    turns, report = turns.add("assistant", AGENT, interrupted=True)
    assert report is not None
    assert (report.turn, report.interrupted) == (1, True)
    assert report.transcription_delay_s == 0.1
    assert report.end_of_turn_delay_s == 0.35
    assert report.llm_ttft_s == 0.2
    assert report.tts_ttfb_s == 0.12
    assert report.e2e_latency_s == 0.7
    assert turns.open_turn is None


def test_what_was_not_measured_is_none() -> None:
    """Neither 0 nor -1 stands for "unknown"."""
    turns, _ = Turns().add("user", {}, interrupted=False)
    _, report = turns.add("assistant", {"llm_node_ttft": -1.0}, interrupted=False)
    assert report is not None
    assert report.llm_ttft_s is None
    assert report.e2e_latency_s is None


def test_the_last_of_several_utterances_started_the_wait() -> None:
    """Two utterances before one answer are one turn."""
    turns, _ = Turns().add("user", {"end_of_turn_delay": 9.0}, interrupted=False)
    turns, _ = turns.add("user", USER, interrupted=False)
    turns, report = turns.add("assistant", AGENT, interrupted=False)
    assert report is not None
    assert report.end_of_turn_delay_s == 0.35
    assert turns.add("assistant", AGENT, interrupted=False)[1] is None
