"""A job that comes without a session: a room that some other dispatcher sent us to."""

import asyncio

from livekit.agents import JobContext

from assistant import log
from assistant.catalog.overrides import Overrides
from assistant.worker import pipeline, prompt_signals, stages
from assistant.worker.ensemble import Ensemble
from assistant.worker.process.setup import Kit
from assistant.worker.team import Team

_log = log.get(__name__)


async def run_without_session(ctx: JobContext, kit: Kit) -> None:
    """The default agent talks, and nothing is kept."""
    spec = kit.catalog.resolve(Overrides(agent=kit.default_agent))
    models = stages.build(spec, kit.settings)
    conversation = pipeline.build(spec, models, turn_model=kit.turn_model)
    conversation.on("close", lambda _event: ctx.shutdown("conversation closed"))
    prompt_signals.follow(ctx.room)
    ensemble = Ensemble(conversation)
    ensemble.join(models)
    team = Team(spec, kit.settings, built=ensemble.join)
    ctx.add_shutdown_callback(team.close)
    ctx.add_shutdown_callback(ensemble.aclose)
    team.prepare()
    equipping = asyncio.create_task(team.equip(), name="equip")
    _log.info("job.without_session", room=ctx.room.name, agent=spec.name)
    await conversation.start(
        team.begin(None),
        room=ctx.room,
        room_options=pipeline.room_options(spec, user_identity=None, equipped=team.equipped),
        session_host=False,
        record=False,
    )
    await equipping
