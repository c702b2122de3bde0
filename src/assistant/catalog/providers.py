"""The options of every speech-to-text, language model and text-to-speech vendor.

None always means: leave it to the vendor's plugin. Durations are seconds; the worker's builders
convert them where a vendor counts in milliseconds. Keys are never here, only in the environment.

A new vendor is one class here: docs/vendors.md.

Source: constructors of livekit-plugins-assemblyai, -cartesia, -deepgram, -groq, -openai and
-inworld 1.8.9.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from assistant.catalog.fields import (
    MAX_KEYTERMS,
    EnvName,
    Frozen,
    HttpUrl,
    Keyterms,
    Language,
    PositiveShare,
    Share,
    Text,
    TurnSeconds,
    VoiceName,
    Word,
    WsUrl,
    wrong,
)

MAX_STEERED_LANGUAGES = 10  # AssemblyAI's own bound

# The models of AssemblyAI that take a prompt, steering, voice focus and the like.
STEERABLE_STT_MODELS = frozenset(
    {"universal-3-6-pro", "universal-3-5-pro", "u3-rt-pro", "u3-rt-pro-beta-1"}
)
_STEERABLE_ONLY = (
    "language_codes",
    "continuous_partials",
    "interruption_delay_s",
    "prompt",
    "previous_context_n_turns",
    "voice_focus",
    "voice_focus_threshold",
    "mode",
)


class ProviderOptions(Frozen):
    """What every vendor has: how long to wait, and how often to try again."""

    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for the vendor to connect or to answer before the attempt counts as
    failed."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Attempts after the first one failed. The first follows at once, each next after 2 s."""


def primary_language(language: str) -> str:
    """The part of a tag that names the language: `en` of `en-US`, in lower case."""
    return language.partition("-")[0].lower()


class SpeechToTextOptions(ProviderOptions):
    """What every recognizer's options can tell; each vendor's class answers for itself."""

    @property
    def takes_context(self) -> bool:
        """Whether the agent's replies are sent along, to understand the caller's answers."""
        return False

    def hearing(self, _language: str, *, asked: bool) -> Self:  # noqa: ARG002 - for those that do
        """These options with the conversation's language told to the vendor, where it takes one.

        `asked`: the session asks for it, which goes before what the file says here.
        """
        return self

    def cannot_hear(self, _language: str) -> str | None:
        """Why these options do not fit that language; None: they do."""
        return None

    @property
    def takes_keyterms(self) -> bool:
        """Whether it can be told words that the caller is likely to say."""
        return False

    def expecting(self, words: Sequence[str]) -> Self:
        """These options with words of one session before their own, where the vendor takes any.

        What is beyond the vendor's bound is left out.
        """
        if not self.takes_keyterms:
            return self
        together = dict.fromkeys((*words, *getattr(self, "keyterms", ())))
        return self.model_copy(update={"keyterms": tuple(together)[:MAX_KEYTERMS]})


class TextToSpeechOptions(ProviderOptions):
    """What every voice's options hold; each vendor's class says more of it."""

    voice: VoiceName
    """An alias out of `voices`, or a voice's own name at the vendor."""
    model: Word
    """The speech model."""
    language: Language | None = None
    """The language to speak. None: the agent's `language`."""


class AssemblyAIOptions(SpeechToTextOptions):
    """AssemblyAI's streaming speech-to-text. Key: `ASSEMBLYAI_API_KEY`."""

    provider: Literal["assemblyai"]
    """The vendor."""
    model: Literal[
        "universal-3-6-pro",
        "universal-3-5-pro",
        "u3-rt-pro",
        "u3-rt-pro-beta-1",
        "universal-streaming-english",
        "universal-streaming-multilingual",
    ] = "universal-3-6-pro"
    """The speech model. The `universal-streaming-*` ones take fewer options."""
    mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    """A preset that trades speed for accuracy, with its own silences. None: 0.1 s of silence
    ends a confident turn, and the turn detector decides whether the caller has finished."""
    language_codes: Annotated[tuple[Word, ...], Field(max_length=MAX_STEERED_LANGUAGES)] | None = (
        None
    )
    """Languages to expect, such as `[en, es]`. None: the agent's `language`; `[multi]`: all."""
    language_detection: bool | None = None
    """Whether each turn's language is reported (`universal-streaming-multilingual`)."""
    end_of_turn_confidence_threshold: Share | None = None
    """How sure the model must be that the caller has finished, 0 to 1."""
    min_turn_silence_s: TurnSeconds | None = None
    """Seconds of silence before a confident end of turn is final."""
    max_turn_silence_s: TurnSeconds | None = None
    """Seconds of silence that end a turn whatever the model thinks."""
    format_turns: bool | None = None
    """Whether final text has punctuation and capitals. Costs some latency on older models."""
    continuous_partials: bool | None = None
    """Whether interim text keeps coming, about every 3 s, in long turns."""
    interruption_delay_s: Share | None = None
    """Seconds until the first interim text, 0 to 1. Lower: interruptions are noticed sooner."""
    keyterms: Keyterms = ()
    """Words that the caller is likely to say: names, products. At most 100 of 50 characters."""
    prompt: Annotated[Text, Field(min_length=1, max_length=1750)] | None = None
    """What the recording is about, to steer the recognition. At most 1750 characters."""
    previous_context_n_turns: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many earlier entries of the conversation the model sees. 0: none."""
    forward_chat_context: bool = True
    """Whether the agent's own replies are sent along as context for the caller's answer."""
    vad_threshold: Share | None = None
    """The vendor's voice activity threshold, 0 to 1. Lower hears quieter speech."""
    speaker_labels: bool | None = None
    """Whether speakers are told apart."""
    max_speakers: Annotated[int, Field(ge=1, le=10)] | None = None
    """The most speakers to tell apart."""
    domain: Word | None = None
    """A vendor's vocabulary, such as `medical-v1`."""
    voice_focus: Literal["near-field", "far-field"] | None = None
    """Suppresses background noise: `near-field` for headsets, `far-field` for room microphones."""
    voice_focus_threshold: Share | None = None
    """How hard background is suppressed, 0 to 1; takes effect with `voice_focus`."""
    sample_rate: Literal[8000, 16000, 24000, 48000] = 16000
    """Hz of the audio sent. 16000 loses nothing that the models use."""
    buffer_s: Annotated[float, Field(ge=0.05, le=1)] = 0.05
    """Seconds of audio a message. The vendor takes 0.05 to 1; more adds latency."""
    base_url: WsUrl | None = None
    """Another endpoint, such as `wss://streaming.eu.assemblyai.com`. None: the vendor's own."""

    @property
    def takes_context(self) -> bool:
        return self.forward_chat_context

    @property
    def takes_keyterms(self) -> bool:
        return True

    @property
    def steerable(self) -> bool:
        """Whether the model takes `language_codes` and the options like it."""
        return self.model in STEERABLE_STT_MODELS

    def hearing(self, language: str, *, asked: bool) -> Self:
        if self.steerable and (asked or self.language_codes is None):
            return self.model_copy(update={"language_codes": (primary_language(language),)})
        return self

    def cannot_hear(self, language: str) -> str | None:
        if self.model == "universal-streaming-english" and primary_language(language) != "en":
            return f"stt.model '{self.model}' understands English only, got '{language}'"
        return None

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        if not self.steerable:
            for key in _STEERABLE_ONLY:
                if getattr(self, key) is not None:
                    models = ", ".join(sorted(STEERABLE_STT_MODELS))
                    raise wrong(f"model '{self.model}' does not take it; these do: {models}", key)
        if self.language_codes and "multi" in self.language_codes and len(self.language_codes) > 1:
            raise wrong("'multi' means every language and must stand alone", "language_codes")
        low, high = self.min_turn_silence_s, self.max_turn_silence_s
        if low is not None and high is not None and low > high:
            limit = f"must be at most max_turn_silence_s ({high:g}), got {low:g}"
            raise wrong(limit, "min_turn_silence_s")
        if self.voice_focus_threshold is not None and self.voice_focus is None:
            missing = "has no effect without voice_focus: 'near-field' or 'far-field'"
            raise wrong(missing, "voice_focus_threshold")
        return self


# The families of Deepgram's models whose vocabulary is steered by `keyterms`.
_KEYTERM_MODELS = ("nova-3",)


class DeepgramOptions(SpeechToTextOptions):
    """Deepgram's streaming speech-to-text. Key: `DEEPGRAM_API_KEY`; extra: `deepgram`."""

    provider: Literal["deepgram"]
    """The vendor."""
    model: Word = "nova-3"
    """The speech model, such as `nova-3` or `nova-2-phonecall`."""
    language: Language | Literal["multi"] | None = None
    """The language to expect; `multi`: several in one conversation. None: the agent's."""
    punctuate: bool = True
    """Whether text has punctuation and capitals, from which turn detection profits."""
    smart_format: bool = False
    """Whether dates, numbers and the like are written as people write them."""
    numerals: bool = False
    """Whether numbers are written in digits."""
    filler_words: bool = True
    """Whether an 'uh' is transcribed: a sign that the caller has not finished."""
    endpointing_s: TurnSeconds = 0.025
    """Seconds of silence before text is final. 0: none, text is final when the model is sure."""
    utterance_end_s: Annotated[float, Field(ge=1, le=5)] | None = None
    """Seconds without a word until an utterance is over though no silence was heard: for noisy
    lines. None: not asked for."""
    keyterms: Keyterms = ()
    """Words that the caller is likely to say: names, products. `nova-3` models only."""
    profanity_filter: bool = False
    """Whether swearwords are replaced by asterisks."""
    redact: Annotated[
        tuple[Literal["pci", "numbers", "ssn", "pii", "phi"], ...], Field(max_length=5)
    ] = ()
    """What is left out of the text: card data, numbers, social security numbers and so on."""
    replace: Annotated[Mapping[Word, Word], Field(max_length=100)] | None = None
    """Words that are written otherwise: `{livekit: LiveKit}`."""
    dictation: bool = False
    """Whether a spoken 'comma' becomes one."""
    speaker_labels: bool = False
    """Whether speakers are told apart."""
    mip_opt_out: bool = False
    """Whether the vendor may not train its models with the audio. It costs more."""
    tags: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    """Labels of the requests in the vendor's usage reports."""
    sample_rate: Literal[8000, 16000, 24000, 48000] = 16000
    """Hz of the audio sent. 16000 loses nothing that the models use."""
    base_url: HttpUrl | None = None
    """Another endpoint, up to and with `/v1/listen`. None: the vendor's own."""

    @property
    def takes_keyterms(self) -> bool:
        return self.model.startswith(_KEYTERM_MODELS)

    def hearing(self, language: str, *, asked: bool) -> Self:
        if asked or self.language is None:
            return self.model_copy(update={"language": language})
        return self

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        if self.keyterms and not self.takes_keyterms:
            raise wrong(f"model '{self.model}' does not take them; nova-3 models do", "keyterms")
        return self


class ChatOptions(ProviderOptions):
    """The sampling options that all chat-completions vendors share."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """0: always the likeliest word; 2: wild."""
    top_p: PositiveShare | None = None
    """Only the likeliest words that add up to this probability are considered."""
    max_completion_tokens: Annotated[int, Field(ge=1, le=131_072)] | None = None
    """The longest reply, in tokens; some four characters each. None: the vendor's bound."""
    parallel_tool_calls: bool | None = None
    """Whether the model may call several tools at once."""
    tool_choice: Literal["auto", "none", "required"] | None = None
    """Whether the model may, may not or must call a tool."""
    user: Word | None = None
    """Who asks, for the vendor's own bookkeeping. None: nobody is named."""
    prompt_cache_key: Word | None = None
    """What requests share a cached prompt by, where the vendor takes a name for it."""
    metadata: Annotated[Mapping[Word, Text], Field(max_length=16)] | None = None
    """Labels that the vendor keeps with each request."""


class GroqOptions(ChatOptions):
    """Groq's language models. Key: `GROQ_API_KEY`."""

    provider: Literal["groq"]
    """The vendor."""
    model: Word = "llama-3.3-70b-versatile"
    """The model. `llama-3.1-8b-instant` answers sooner and knows less."""
    reasoning_effort: Literal["none", "default", "low", "medium", "high"] | None = None
    """For models that think before they answer. Thinking is silence to a caller."""
    service_tier: Literal["auto", "on_demand", "flex", "performance"] | None = None
    """Groq's queue for the request."""


class OpenAICompatibleOptions(ChatOptions):
    """Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, other vendors."""

    provider: Literal["openai-compatible"]
    """The protocol."""
    base_url: HttpUrl
    """The address up to and with the version, such as `http://127.0.0.1:8000/v1`."""
    model: Word
    """The model's name at that server."""
    api_key_env: EnvName | None = None
    """The environment variable that holds the key. None: the server wants none."""
    reasoning_effort: (
        Literal["none", "default", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    ) = None
    """For models that think before they answer. Thinking is silence to a caller."""
    service_tier: Word | None = None
    """The server's queue for the request, where it has several."""
    verbosity: Literal["low", "medium", "high"] | None = None
    """How much the model says, where it lets one choose."""
    extra_headers: Annotated[Mapping[Word, Text], Field(max_length=20)] | None = None
    """Headers of each request, such as `X-Title` for a router of models. Never a key: it has
    `api_key_env`."""
    extra_query: Annotated[Mapping[Word, Text], Field(max_length=20)] | None = None
    """Parameters of each request's address, such as `api-version`."""
    extra_body: Annotated[Mapping[Word, JsonValue], Field(max_length=50)] | None = None
    """Fields of the request that are the server's own, such as
    `{chat_template_kwargs: {enable_thinking: false}}` for a model behind vLLM."""


class CartesiaOptions(TextToSpeechOptions):
    """Cartesia's streaming text-to-speech. Key: `CARTESIA_API_KEY`; extra: `cartesia`."""

    provider: Literal["cartesia"]
    """The vendor."""
    voice: VoiceName
    """An alias out of `voices`, or a voice's id at Cartesia: a UUID."""
    model: Word = "sonic-3"
    """The speech model."""
    speed: Annotated[float, Field(ge=0.6, le=2)] | None = None
    """1 is the voice's own pace; `sonic-3` only."""
    volume: Annotated[float, Field(ge=0.5, le=2)] | None = None
    """1 is the voice's own; `sonic-3` only."""
    emotion: Word | None = None
    """How it is said, such as `calm`; `sonic-3` only."""
    pronunciation_dict_id: Word | None = None
    """A dictionary of one's own at Cartesia, by its id; `sonic-3` only."""
    word_timestamps: bool = True
    """Times of words let the transcript keep only what was heard before an interruption."""
    sample_rate: Literal[8000, 16000, 22050, 24000, 44100, 48000] = 24000
    """Hz of the audio asked for."""
    base_url: HttpUrl | None = None
    """Another endpoint. None: the vendor's own."""

    @model_validator(mode="after")
    def _fits_the_model(self) -> Self:
        for key in ("speed", "volume", "emotion", "pronunciation_dict_id"):
            if getattr(self, key) is not None and not self.model.startswith("sonic-3"):
                raise wrong(f"model '{self.model}' does not take it; sonic-3 does", key)
        return self


class InworldOptions(TextToSpeechOptions):
    """Inworld's streaming text-to-speech. Key: `INWORLD_API_KEY`."""

    provider: Literal["inworld"]
    """The vendor."""
    voice: VoiceName
    """An alias out of `voices`, or a voice's own name at Inworld, such as `Ashley`."""
    model: Word = "inworld-tts-1.5-max"
    """The speech model. `inworld-tts-1.5-mini` begins sooner, `inworld-tts-2` is the richest."""
    language: Language | None = None
    """The language to speak. None: the agent's `language`."""
    speaking_rate: Annotated[float, Field(ge=0.5, le=1.5)] | None = None
    """1 is the voice's own pace."""
    temperature: Annotated[float, Field(gt=0, le=2)] | None = None
    """How much the delivery varies. `inworld-tts-2` ignores it: see `delivery_mode`."""
    delivery_mode: Literal["STABLE", "BALANCED", "CREATIVE"] | None = None
    """How much the delivery varies, on `inworld-tts-2` only."""
    text_normalization: bool | None = None
    """Whether numbers, dates and abbreviations are read out in full. None: the vendor decides."""
    encoding: Literal["PCM", "LINEAR16", "MP3", "OGG_OPUS", "FLAC"] = "PCM"
    """How the audio travels. PCM needs no decoding and is heard soonest."""
    bit_rate: Annotated[int, Field(ge=8_000, le=512_000)] | None = None
    """Bits per second of the compressed encodings."""
    sample_rate: Literal[8000, 16000, 22050, 24000, 32000, 44100, 48000] = 24000
    """Hz of the audio asked for."""
    timestamp_type: Literal["WORD", "CHARACTER"] | None = "WORD"
    """Times of words let the transcript keep only what was heard before an interruption.
    None: none are asked for."""
    timestamp_transport_strategy: Literal["ASYNC", "SYNC"] = "ASYNC"
    """Whether times may follow the audio (`ASYNC`, sooner heard) or come with it."""
    buffer_char_threshold: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Characters that are collected before speech is made of them. None: the plugin's."""
    max_buffer_delay_s: Annotated[float, Field(ge=0, le=10)] | None = None
    """The longest that text waits for that many characters. None: the plugin's (3 s)."""


SttOptions = Annotated[AssemblyAIOptions | DeepgramOptions, Field(discriminator="provider")]
LlmOptions = Annotated[GroqOptions | OpenAICompatibleOptions, Field(discriminator="provider")]
TtsOptions = Annotated[CartesiaOptions | InworldOptions, Field(discriminator="provider")]
VoiceProvider = Literal["cartesia", "inworld"]
"""Whose voices `voices` may name."""
