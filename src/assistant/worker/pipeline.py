"""AgentSpec -> AgentSession: which parts, and how turns are taken."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from livekit.agents import (
    AgentSession,
    APIConnectOptions,
    EndpointingOptions,
    InterruptionOptions,
    TurnHandlingOptions,
    room_io,
)
from livekit.agents.voice import io
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.turn import PreemptiveGenerationOptions, UserTurnLimitOptions

from assistant.catalog.agent import AgentSpec
from assistant.catalog.fallbacks import Fallbacks
from assistant.catalog.providers import ProviderOptions
from assistant.catalog.turns import AUDIO_MAX_DELAY_S, AudioTurnDetection
from assistant.worker.conversation import Conversation
from assistant.worker.providers import registry
from assistant.worker.providers.given import given
from assistant.worker.stages import Stages, models

# For the transcript of the user's last words; the slot is held as long. The SDK's own is 2 s, spent
# whenever nobody has just spoken. Vendors answer a flush within 0.3 s.
CLOSE_TRANSCRIPT_TIMEOUT_S = 0.4
# Answers that failed in a row until the SDK ends the conversation. A caller may ask again, and
# `dead_air.end_after_s` ends what lasts.
MAX_ERRORS = 10
# As long as the windows in which voices are looked for, so that each is looked at as soon as it is
# there. The SDK's own is 50: half of that is added, on average, to every reaction.
FRAME_MS = 32
RECORDED_HZ = 24_000  # The SDK's own.
MAX_TYPED_CHARS = 4000  # Of one typed message, about what a minute of fast typing leaves.
RETRY_INTERVAL_S = 2.0  # Between attempts after the second; the first retry follows at once.


def build(spec: AgentSpec, stages: Stages, *, turn_model: str | None = None) -> AgentSession[None]:
    """The conversation that `spec` describes, with these models.

    `turn_model` is the address of the one that hears the end of a turn; None: it has its own.

    Raises:
        MissingExtraError: a provider's package is not installed.
    """
    return Conversation(
        **models(stages),
        **_hearing(spec, turn_model),
        stt_context_options={"forward_chat_context": spec.stt.takes_context},
        # The transcript follows the voice's own times of words, and so ends where it was cut off.
        use_tts_aligned_transcript=True,
        max_tool_steps=spec.limits.max_tool_steps,
        user_away_timeout=spec.limits.user_away_timeout_s,
        aec_warmup_duration=spec.turn_handling.interruption.aec_warmup_s,
        session_close_transcript_timeout=CLOSE_TRANSCRIPT_TIMEOUT_S,
        conn_options=SessionConnectOptions(
            stt_conn_options=_connect_options(spec.stt, spec.fallbacks, spec.fallbacks.stt),
            llm_conn_options=_connect_options(spec.llm, spec.fallbacks, spec.fallbacks.llm),
            tts_conn_options=_connect_options(spec.tts, spec.fallbacks, spec.fallbacks.tts),
            max_unrecoverable_errors=MAX_ERRORS,
        ),
    )


def _hearing(spec: AgentSpec, turn_model: str | None) -> dict[str, Any]:
    if spec.modality == "text":
        return {"vad": None, "turn_handling": TurnHandlingOptions(turn_detection="manual")}
    return {
        "vad": registry.load(registry.VAD[spec.vad.provider]).build_vad(spec),
        "turn_handling": turn_handling(spec, turn_model),
    }


def room_options(
    spec: AgentSpec,
    *,
    user_identity: str | None,
    equipped: Callable[[], Awaitable[Any]],
    has_voice: bool = False,
    spoken: io.TextOutput | None = None,
) -> room_io.RoomOptions:
    """How the conversation uses its room; None: it listens to whoever comes first.

    What is typed is answered once `equipped` returns. `has_voice`: it has an output already.
    `spoken` gets the agent's words as the room does: as they are heard.
    """
    silent: dict[str, Any] = {"audio_input": False, "audio_output": False}
    # At the recognizer's own rate there is nothing to resample on the way to it, which would hold
    # 20 to 35 ms of the speech back. What is recorded keeps more of the voice.
    rate = RECORDED_HZ if spec.record == "audio" else spec.stt.sample_rate
    heard = {
        "audio_input": room_io.AudioInputOptions(
            frame_size_ms=FRAME_MS,
            sample_rate=rate,
            # It costs an eighth of the Python time and helps nobody; docs/decisions/0017.
            auto_gain_control=False,
        ),
        "audio_output": not has_voice,
    }
    return room_io.RoomOptions(
        **given(participant_identity=user_identity),
        **(silent if spec.modality == "text" else heard),
        text_input=_typed(equipped),
        text_output=room_io.TextOutputOptions(next_in_chain=spoken),
        # The service decides when a session is over; a reload of the page must not end it.
        close_on_disconnect=False,
    )


def _typed(equipped: Callable[[], Awaitable[Any]]) -> room_io.TextInputOptions:
    answer = room_io.TextInputOptions().text_input_cb

    async def typed(session: AgentSession[Any], event: room_io.TextInputEvent) -> None:
        await equipped()
        text = event.text[:MAX_TYPED_CHARS]
        speech = session.current_speech
        if speech is not None and not speech.done() and not speech.allow_interruptions:
            # What is said to its end is not cut off, which the SDK takes for an error: the answer
            # comes behind it.
            session.generate_reply(user_input=text)
            return
        answered = answer(session, replace(event, text=text))
        if answered is not None:
            await answered

    return room_io.TextInputOptions(text_input_cb=typed)


def _endpointing(spec: AgentSpec) -> EndpointingOptions:
    """A delay that is left out gets the SDK's default for the chosen turn detection.

    But for its 2.5 s where the model hears no end: the measured one answers in 0.9 s.
    """
    own = spec.turn_handling.endpointing
    delays = EndpointingOptions(mode=own.mode, alpha=own.alpha)
    if own.min_delay_s is not None:
        delays["min_delay"] = own.min_delay_s
    if own.max_delay_s is not None:
        delays["max_delay"] = own.max_delay_s
    elif isinstance(spec.turn_detection, AudioTurnDetection):
        delays["max_delay"] = max(AUDIO_MAX_DELAY_S, own.min_delay_s or 0.0)
    return delays


def turn_handling(spec: AgentSpec, turn_model: str | None = None) -> TurnHandlingOptions:
    handling = spec.turn_handling
    interruption = handling.interruption
    preemptive = handling.preemptive_generation
    limit = handling.user_turn_limit
    return TurnHandlingOptions(
        turn_detection=_turn_detection(spec, turn_model),
        endpointing=_endpointing(spec),
        interruption=InterruptionOptions(
            enabled=interruption.enabled,
            mode=interruption.mode,
            min_duration=interruption.min_duration_s,
            min_words=interruption.min_words,
            discard_audio_if_uninterruptible=interruption.discard_audio_if_uninterruptible,
            resume_false_interruption=interruption.resume_false_interruption,
            false_interruption_timeout=interruption.false_interruption_timeout_s,
            backchannel_boundary=(
                interruption.backchannel_boundary_s[0],
                interruption.backchannel_boundary_s[1],
            ),
        ),
        preemptive_generation=PreemptiveGenerationOptions(
            enabled=preemptive.enabled,
            preemptive_tts=preemptive.preemptive_tts,
            max_speech_duration=preemptive.max_speech_duration_s,
            max_retries=preemptive.max_retries,
        ),
        user_turn_limit=UserTurnLimitOptions(
            max_words=limit.max_words, max_duration=limit.max_duration_s
        ),
    )


def _turn_detection(spec: AgentSpec, turn_model: str | None) -> Any:
    model = spec.turn_detection.model
    modes: dict[str, Literal["vad", "stt"]] = {"vad": "vad", "stt": "stt"}
    if model in modes:
        return modes[model]
    provider = registry.load(registry.TURN_DETECTION[model])
    return provider.build_turn_detection(spec, turn_model)


def _connect_options(
    options: ProviderOptions, fallbacks: Fallbacks, others: Sequence[ProviderOptions]
) -> APIConnectOptions:
    return APIConnectOptions(
        max_retry=options.max_retries,
        retry_interval=RETRY_INTERVAL_S,
        timeout=fallbacks.attempt_timeout_s if others else options.timeout_s,
    )
