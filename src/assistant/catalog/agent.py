"""An agent: as it is written in agents.yaml, and as a session gets it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from assistant.catalog.budget import Budget
from assistant.catalog.fallbacks import DeadAir, Fallbacks
from assistant.catalog.fields import (
    AgentName,
    DurationSeconds,
    Frozen,
    Instructions,
    Language,
    OptionalGreeting,
    Sentence,
    Text,
    Title,
    VariableName,
    VoiceName,
    WaitSeconds,
    Word,
    wrong,
)
from assistant.catalog.privacy import RecordMode
from assistant.catalog.profiles import ProfileName
from assistant.catalog.providers import LlmOptions, SttOptions, TtsOptions, VoiceProvider
from assistant.catalog.report import Recording, Report
from assistant.catalog.tools import ToolLimits, Tools
from assistant.catalog.turns import (
    AudioTurnDetection,
    InferenceVadOptions,
    TurnDetection,
    TurnHandling,
    VadOptions,
)

MAX_PROMPTS = 5

PublicField = Literal[
    "systemPrompt",
    "greeting",
    "language",
    "keyterms",
    "metadata",
    "maxDuration",
    "maxTokens",
    "maxCost",
    "record",
]
"""Names as in a session's `config`. The voice has a list of its own: `public.voices`."""


class Voice(Frozen):
    """A voice under a name of ours, so that a vendor's names stay out of callers' code."""

    provider: VoiceProvider
    """The vendor; that of the agents which use the voice."""
    voice: VoiceName
    """The voice's own name at the vendor."""
    model: Word | None = None
    """The speech model that the voice needs. None: the agent's `tts.model`."""
    language: Language | None = None
    """The language that the voice speaks. None: the agent's."""


class Limits(Frozen):
    """How long things may take."""

    max_duration_s: DurationSeconds | None = None
    """Seconds until a session is ended whatever happens, at most 86400. None: the service's
    `SESSION_TIMEOUT`."""
    warning_s: WaitSeconds | None = None
    """Seconds before that end at which the agent says `warning_sentence`. A session that is
    shorter than twice as long does without. None: never."""
    warning_sentence: Sentence = "Our time is almost up."
    """Made ahead in the agent's voice."""
    user_away_timeout_s: WaitSeconds | None = 15.0
    """Seconds of silence on both sides until the caller counts as away. None: never."""
    inactivity_timeout_s: DurationSeconds | None = 600.0
    """Seconds without a word from either side until the session is ended. None: never."""
    user_join_timeout_s: WaitSeconds = 60.0
    """Seconds that the agent waits in the room for a caller who never came."""
    user_return_timeout_s: WaitSeconds = 30.0
    """Seconds that the agent waits for a caller who has left: reloads, lifts, dead spots."""
    max_tool_steps: Annotated[int, Field(ge=1, le=50)] = 3
    """Tool calls in a row within one turn."""


class Away(Frozen):
    """What happens when neither side has spoken for `limits.user_away_timeout_s`."""

    prompts: Annotated[tuple[Sentence, ...], Field(max_length=MAX_PROMPTS)] = ()
    """What the agent says, one after each such silence: `["Are you still there?"]`. Empty: nothing.
    A caller who speaks begins the list anew."""
    end: bool = False
    """Whether the session ends as `user_away` after one more such silence."""


class Public(Frozen):
    """What a publishable key, that of a web page, may do with the agent."""

    listed: bool = True
    """Whether the talk page offers the agent. If not, a page must know its name."""
    voices: Annotated[tuple[VoiceName, ...], Field(max_length=100)] = ()
    """The voices that a page may choose from, by their names in `voices`. Empty: none."""
    fields: Annotated[tuple[PublicField, ...], Field(max_length=9)] = ()
    """What else of `config` a page may set. `systemPrompt` lets every visitor use the agent's
    model for anything; `maxDuration`, `maxTokens` and `maxCost` let them lower the session's own
    bounds, never raise them; `record` lets them have less written down, never more; `keyterms`
    lets them name words to listen for."""


class AgentSettings(Frozen):
    """One entry of `agents`."""

    title: Title
    """What people call the agent, on the talk page and in the console."""
    instructions: Instructions
    """The system prompt, at most 16 KiB. Every turn sends it: short is fast."""
    greeting: OptionalGreeting = None
    """What the agent says first. None or empty: it waits for the caller to speak."""
    resume_sentence: OptionalGreeting = None
    """What the agent says when it takes over for one that was lost in the conversation. None or
    empty: nothing."""
    language: Language = "en-US"
    """The language of the conversation, as a BCP-47 tag."""
    stt: SttOptions
    """Speech to text."""
    llm: LlmOptions
    """The language model."""
    tts: TtsOptions
    """Text to speech."""
    vad: VadOptions = InferenceVadOptions(provider="inference")
    """Voice activity detection."""
    turn_detection: TurnDetection = AudioTurnDetection(model="v1-mini")
    """Who decides that the caller has finished."""
    profile: ProfileName | None = None
    """Values of `turn_handling` under one name: `fast` for questions and orders, `patient` for
    people who think while they speak. Values of the agent's own win. None: the SDK's defaults."""
    turn_handling: TurnHandling = TurnHandling()
    """How long pauses may be, and what interrupts."""
    fallbacks: Fallbacks = Fallbacks()
    """Who takes over when a vendor fails."""
    dead_air: DeadAir = DeadAir()
    """What the caller hears when no answer comes."""
    away: Away = Away()
    """What the agent says to a caller who has fallen silent."""
    limits: Limits = Limits()
    """When a session is ended, and how long the agent waits for its caller."""
    tools: Tools = ()
    """What the agent can do besides talking."""
    tool_limits: ToolLimits = ToolLimits()
    """What its tools may cost in one session."""
    variables: Annotated[dict[VariableName, Text], Field(max_length=50)] = Field(
        default_factory=dict
    )
    """What `{{ name }}` in `instructions`, `greeting` and `resume_sentence` stands for where the
    session's `metadata` does not say; a variable that neither gives is refused at the start."""
    modality: Literal["voice", "text"] = "voice"
    """`text`: the agent neither listens nor speaks; both sides write."""
    report: Report = Report()
    """What the language model makes of a conversation that is over."""
    record: RecordMode = "text"
    """What of a conversation is written down. `none`: no word of it, only its figures. `text`: what
    was said and done. `audio`: that, and both sides' sound."""
    redact: bool = False
    """Whether e-mail addresses, phone and payment card numbers are taken out of all that is
    written down or sent out, but for sound."""
    recording: Recording = Recording()
    """How both sides are recorded, where they are."""
    budget: Budget = Budget()
    """What a session may use of its vendors."""
    public: Public | None = None
    """What a web page's key may do. None: it cannot start this agent at all."""

    @model_validator(mode="after")
    def _language_is_understood(self) -> Self:
        reason = self.stt.cannot_hear(self.language)
        if reason is not None:
            raise wrong(reason, "language")
        return self


class AgentSpec(AgentSettings):
    """One agent with everything decided: what a session's record stores and a job builds from.

    Holds no secrets. `tts.voice` is the vendor's own name by now; `stt` and `tts` hold the
    language where the vendor takes one.
    `AgentSpec.model_validate_json(spec.model_dump_json()) == spec`; never with `exclude_none`,
    since some options mean by None something else than their default.
    """

    name: AgentName
    """Its key in `agents`."""
    voice: VoiceName
    """The voice as it was asked for: an alias, or the vendor's own name."""
    team: dict[AgentName, "AgentSpec"] = Field(default_factory=dict)
    """Every agent that may take part in the session by a transfer, without teams of their own."""
    personal: bool = False
    """Whether its words were filled in for one session, so that nobody else will hear them."""
