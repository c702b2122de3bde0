"""What the minutes' counts come to as figures over time."""

from assistant.sessions import events as ev
from assistant.sessions import tally
from assistant.sessions.minutes import Spread, points, spread
from assistant.sessions.usage import Spent, Usage


def turn(e2e_latency_s: float, *, interrupted: bool = False) -> dict[str, float]:
    event = ev.TurnCompleted(
        at=0.0,
        attempt=1,
        turn=1,
        transcription_delay_s=None,
        end_of_turn_delay_s=None,
        llm_ttft_s=0.2,
        tts_ttfb_s=None,
        e2e_latency_s=e2e_latency_s,
        interrupted=interrupted,
    )
    return {f"{tally.TURN}tutor|{k}": n for k, n in tally.tally_of_turn(event).items()}


def test_what_happened_in_each_step() -> None:
    """Counts of a step's minutes are added up, over agents, and nothing else is."""
    spent = Spent(
        currency="EUR",
        models=(
            Usage(kind="llm", provider="groq", model="m", output_tokens=9, cost=0.25),
            Usage(kind="tts", provider="inworld", model="v", characters=7),
        ),
    )
    used = {f"{tally.USAGE}tutor|{name}": n for name, n in spent.flat().items()}
    minutes = [
        {tally.CREATED: 3, tally.STARTED: 2, **turn(0.9)},
        {tally.over_field("ended", "user_left"): 1, **used},
        {
            tally.over_field("ended", "user_left"): 1,
            tally.over_field("failed", "agent_lost"): 2,
            tally.bucket_field("start", "0.5"): 1,
            tally.bucket_field("start", "sum"): 0.4,
        },
        turn(1.2, interrupted=True),
        {},
    ]
    first, second, third = points(minutes, first_at=600.0, step=2, slots=0, waiting=0)
    assert [point.at for point in (first, second, third)] == [600.0, 720.0, 840.0]
    assert (first.started, first.active, first.turns, first.interrupted) == (2, 0, 1, 0)
    assert (first.ended, first.failed, first.cost) == ({"user_left": 1}, {}, {"EUR": 0.25})
    assert first.latencies["e2e_latency_s"] == Spread(1, 0.875, 0.975, 0.9975)
    assert first.latencies["llm_ttft_s"].count == 1
    assert first.latencies["tts_ttfb_s"] == Spread(0, None, None, None)
    assert (second.ended, second.failed) == ({"user_left": 1}, {"agent_lost": 2})
    assert (second.active, second.joining.count, second.interrupted) == (1, 1, 1)
    assert (third.started, third.turns, third.joining) == (0, 0, Spread(0, None, None, None))


def test_levels_hold_until_they_change() -> None:
    """Before its first change it stood as that found it, and without any as it stands now."""
    minutes = [
        {},
        {"slots": 4.0, "slots:before": 2.0},
        {"waiting": 1.0, "waiting:before": 0.0},
        {"slots": 3.0, "slots:before": 4.0},
        {},
    ]
    found = points(minutes, first_at=0.0, step=1, slots=3, waiting=1)
    assert [point.slots for point in found] == [2, 4, 4, 3, 3]
    assert [point.waiting for point in found] == [0, 0, 1, 1, 1]
    assert [
        point.slots for point in points([{}, {}], first_at=0.0, step=2, slots=7, waiting=0)
    ] == [7]


def test_percentiles_lie_within_their_bucket() -> None:
    """A share of a bucket's counts is that share of the way between its bounds."""
    even = spread({"1.0": 5, "1.5": 5})
    assert even == Spread(10, 1.0, 1.4, 1.49)
    skewed = spread({"0.1": 98, "+Inf": 2})
    assert skewed.p50 is not None
    assert 0.05 < skewed.p50 < 0.1
    # Nobody knows how far above the highest bound it was.
    assert skewed.p99 == tally.BUCKETS_S[-1]
