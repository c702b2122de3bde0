"""What a job would look up first was looked up in the worker."""

import logging
import subprocess
import sys

import pytest

from assistant.worker.process import log_levels
from tests.timing import scaled

IN_A_JOB = """
import os, sys
from assistant.worker.process import lean
lean.set_defaults(os.environ)
import assistant.worker.process.warmup
from livekit.agents import llm
from livekit.agents.voice import events

assert len(os.listdir("/proc/self/task")) == 1, "a thread runs, and nothing can be forked"
called = set()
modules = set(sys.modules)
sys.setprofile(lambda frame, *_: called.add(frame.f_code.co_name))
llm.AgentConfigUpdate(instructions="word", tools_added=["word"])
events.ConversationItemAddedEvent(item=llm.AgentHandoff(new_agent_id="word"))
sys.setprofile(None)
assert "__init__" in called
print(*(called & {"_signature_fromstr", "signature"}), *(set(sys.modules) - modules))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is shared")
def test_a_conversations_first_item_is_not_the_process_image_s_first() -> None:
    """A job looks through no module for the default of a field, and imports none for an item.

    Nor does what was used keep a thread, which would keep the worker from forking.
    """
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_JOB],
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(60.0),
    )
    assert (ended.returncode, ended.stdout.split()) == (0, []), ended.stderr


def test_a_level_that_is_set_again_leaves_what_loggers_know() -> None:
    """Only a level that changes has loggers look up again what they write; both are in force."""
    logger = logging.getLogger("of this test")
    log_levels.set_level(logger, logging.INFO)
    assert (logger.level, logger.isEnabledFor(logging.DEBUG)) == (logging.INFO, False)
    log_levels.set_level(logger, "INFO")
    log_levels.set_level(logger, logging.INFO)
    assert logger.level == logging.INFO
    log_levels.set_level(logger, "DEBUG")
    assert (logger.level, logger.isEnabledFor(logging.DEBUG)) == (logging.DEBUG, True)
    with pytest.raises(ValueError, match="LOUD"):
        log_levels.set_level(logger, "LOUD")
