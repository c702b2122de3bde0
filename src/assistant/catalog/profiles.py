"""Two ways to take turns, each a set of `turn_handling` values; what an agent sets itself wins."""

from collections.abc import Mapping
from typing import Any, Literal

ProfileName = Literal["fast", "patient"]

PROFILES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # For questions and orders: every tenth of a second is felt.
    "fast": {
        "endpointing": {
            # Silence after a finished sentence. Below it, people are cut off between two sentences.
            "min_delay_s": 0.3,
            # Silence after an unfinished one. A wrong guess of the detector costs all of it.
            "max_delay_s": 0.6,
        },
        # It pauses at any voice, and goes on soon after one that held no words.
        "interruption": {"min_duration_s": 0.1, "false_interruption_timeout_s": 1.5},
        # Model and voice start within the silence above; what was made in vain is thrown away.
        "preemptive_generation": {"enabled": True, "preemptive_tts": True},
    },
    # For dictation, learners, children and the old: nobody is cut off.
    "patient": {
        "endpointing": {"min_delay_s": 0.8, "max_delay_s": 4.0},
        "interruption": {
            # An "aha" or a laugh does not stop the agent: it takes two words,
            "min_duration_s": 0.8,
            "min_words": 2,
            # or the agent goes on after this.
            "false_interruption_timeout_s": 1.5,
        },
        # Long pauses make many false starts, each paid for.
        "preemptive_generation": {"enabled": True, "preemptive_tts": False},
    },
}


def with_profiles(data: dict[str, Any]) -> dict[str, Any]:
    """A file's values, each agent with its profile's values where it has none of its own.

    What has the wrong type is left to the models.
    """
    agents = data.get("agents")
    if not isinstance(agents, dict):
        return data
    return {**data, "agents": {name: _with_profile(agent) for name, agent in agents.items()}}


def _with_profile(agent: Any) -> Any:
    profile = agent.get("profile") if isinstance(agent, dict) else None
    handling = agent.get("turn_handling", {}) if isinstance(agent, dict) else None
    if not isinstance(profile, str) or profile not in PROFILES or not isinstance(handling, dict):
        return agent
    merged = dict(handling)
    for part, values in PROFILES[profile].items():
        own = handling.get(part, {})
        if isinstance(own, dict):
            merged[part] = {**values, **own}
    return {**agent, "turn_handling": merged}
