"""An agent that takes over, and one to whom nobody speaks."""

import asyncio

import pytest

from assistant.catalog.agent import AgentSpec
from assistant.catalog.catalog import Catalog
from assistant.sessions.item import Item
from assistant.worker.agent import Assistant, consent_owed
from assistant.worker.limits.inactivity import Inactivity
from tests.timing import scaled


@pytest.fixture(scope="module")
def spec() -> AgentSpec:
    return Catalog.load("agents.yaml").agents["assistant"]


def _item(number: int, role: str, text: str) -> Item:
    return Item.model_validate(
        {"id": f"i{number}", "role": role, "text": text, "interrupted": False, "at": 1.0 * number}
    )


def test_an_agent_that_takes_over_knows_what_was_said(spec: AgentSpec) -> None:
    """Every item is in its context, in order, under its own id."""
    said = [_item(1, "assistant", "Hello!"), _item(2, "user", "Hi."), _item(3, "assistant", "Yes?")]
    context = Assistant(spec, said=said).chat_ctx
    messages = [item for item in context.items if item.type == "message" and item.role != "system"]
    assert [(m.id, m.role, m.text_content) for m in messages] == [
        ("i1", "assistant", "Hello!"),
        ("i2", "user", "Hi."),
        ("i3", "assistant", "Yes?"),
    ]


async def test_inactivity_counts_from_the_last_word() -> None:
    """Speech of either side begins the time anew, and while somebody speaks it does not run."""
    now = 0.0
    inactivity = Inactivity(timeout_s=0.01, clock=lambda: now)
    waiting = asyncio.create_task(inactivity.wait(), name="waiting")
    inactivity.changed("user", busy=True)
    now = 100.0
    await asyncio.sleep(0.05)
    assert not waiting.done()
    inactivity.changed("user", busy=False)
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the time runs from the end of the speech"
    now = 100.02
    async with asyncio.timeout(scaled(5)):
        await waiting


def test_defaults_of_taking_over(spec: AgentSpec) -> None:
    """Nothing is said on taking over unless agents.yaml says so; ten silent minutes end it."""
    assert spec.resume_sentence is None
    assert spec.limits.inactivity_timeout_s == 600


CONSENT = "This call is recorded. Write to ann@example.org."


@pytest.mark.parametrize(
    ("said", "owed"),
    [
        (None, CONSENT),
        ([], CONSENT),
        ([{"text": "This call is", "interrupted": True}], CONSENT),
        ([{"text": "This call is recorded. Write to [email]."}, {"text": "Hello!"}], None),
    ],
)
def test_who_is_recorded_is_told_to_the_end(
    spec: AgentSpec, said: list[dict[str, object]] | None, owed: str | None
) -> None:
    """Whoever takes over for an agent that was lost before says it; nobody says it twice."""
    recorded = spec.model_copy(
        update={
            "record": "audio",
            "recording": spec.recording.model_copy(update={"consent": CONSENT}),
            "redact": True,
        }
    )
    items = None
    if said is not None:
        items = [_item(n, "assistant", "").model_copy(update=each) for n, each in enumerate(said)]
    assert consent_owed(recorded, items) == owed
    assert consent_owed(spec, items) is None, "nobody is recorded"
