"""AgentSpec -> AgentSession: which parts, and how turns are taken."""

from typing import Any, Literal

from livekit.agents import (
    AgentSession,
    APIConnectOptions,
    EndpointingOptions,
    InterruptionOptions,
    TurnHandlingOptions,
    room_io,
)
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.turn import PreemptiveGenerationOptions, UserTurnLimitOptions

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import ProviderOptions
from assistant.settings import VendorSettings
from assistant.worker.providers import registry
from assistant.worker.providers.given import given

# For the transcript of the user's last words; the slot is held as long. The SDK's own is 2 s, spent
# whenever nobody has just spoken. Vendors answer a flush within 0.3 s.
CLOSE_TRANSCRIPT_TIMEOUT_S = 0.4
RETRY_INTERVAL_S = 2.0  # Between attempts after the second; the first retry follows at once.


def build(spec: AgentSpec, vendors: VendorSettings) -> AgentSession[None]:
    """The conversation that `spec` describes; its vendors are the real ones or those of `vendors`.

    Raises:
        MissingExtraError: a provider's package is not installed.
        ValueError: a plugin refuses an option that the catalog let through.
    """
    return AgentSession(
        stt=registry.load(registry.STT[spec.stt.provider]).build(spec, vendors),
        llm=registry.load(registry.LLM[spec.llm.provider]).build(spec, vendors),
        tts=registry.load(registry.TTS[spec.tts.provider]).build(spec, vendors),
        vad=registry.load(registry.VAD[spec.vad.provider]).build_vad(spec),
        turn_handling=turn_handling(spec),
        stt_context_options={"forward_chat_context": spec.stt.forward_chat_context},
        max_tool_steps=spec.limits.max_tool_steps,
        user_away_timeout=spec.limits.user_away_timeout_s,
        aec_warmup_duration=spec.turn_handling.interruption.aec_warmup_s,
        session_close_transcript_timeout=CLOSE_TRANSCRIPT_TIMEOUT_S,
        conn_options=SessionConnectOptions(
            stt_conn_options=_connect_options(spec.stt),
            llm_conn_options=_connect_options(spec.llm),
            tts_conn_options=_connect_options(spec.tts),
        ),
    )


def room_options(*, user_identity: str | None) -> room_io.RoomOptions:
    """How the conversation uses its room; None: it listens to whoever comes first."""
    return room_io.RoomOptions(
        **given(participant_identity=user_identity),
        # The service decides when a session is over; a reload of the page must not end it.
        close_on_disconnect=False,
    )


def turn_handling(spec: AgentSpec) -> TurnHandlingOptions:
    handling = spec.turn_handling
    endpointing = handling.endpointing
    interruption = handling.interruption
    preemptive = handling.preemptive_generation
    limit = handling.user_turn_limit
    delays = EndpointingOptions(mode=endpointing.mode, alpha=endpointing.alpha)
    # A delay that is left out gets the SDK's default for the chosen turn detection.
    if endpointing.min_delay_s is not None:
        delays["min_delay"] = endpointing.min_delay_s
    if endpointing.max_delay_s is not None:
        delays["max_delay"] = endpointing.max_delay_s
    return TurnHandlingOptions(
        turn_detection=_turn_detection(spec),
        endpointing=delays,
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


def _turn_detection(spec: AgentSpec) -> Any:
    model = spec.turn_detection.model
    modes: dict[str, Literal["vad", "stt"]] = {"vad": "vad", "stt": "stt"}
    if model in modes:
        return modes[model]
    return registry.load(registry.TURN_DETECTION[model]).build_turn_detection(spec)


def _connect_options(options: ProviderOptions) -> APIConnectOptions:
    return APIConnectOptions(
        max_retry=options.max_retries,
        retry_interval=RETRY_INTERVAL_S,
        timeout=options.timeout_s,
    )
