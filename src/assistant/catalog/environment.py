"""The keys that an agent needs from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from assistant.catalog.agent import AgentSpec
from assistant.catalog.providers import OpenAICompatibleOptions

# The first name is the one to recommend; the second is an older one that still counts.
_VENDOR_KEYS = {
    "assemblyai": ("ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY"),
    "cartesia": ("CARTESIA_API_KEY",),
    "deepgram": ("DEEPGRAM_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "inworld": ("INWORLD_API_KEY",),
}


@dataclass(frozen=True, slots=True)
class EnvRequirement:
    """One key that must be set."""

    names: tuple[str, ...]
    """The variables that may hold it, any one of them; the first is the one to recommend."""
    agent: str
    stage: str
    """`stt`, `llm` or `tts`; `tools` or `recording`."""
    provider: str

    def is_met(self, environ: Mapping[str, str]) -> bool:
        """Whether one of the variables holds something."""
        return any(environ.get(name, "").strip() for name in self.names)

    @property
    def has_stand_in(self) -> bool:
        """Whether it is a vendor's for which `make up` has a stand-in."""
        return self.names in _VENDOR_KEYS.values()

    def __str__(self) -> str:
        path = f"agents.{self.agent}.{self.stage}"
        return f"{' or '.join(self.names)} must be set: {path} uses {self.provider}"


def required_environment(spec: AgentSpec) -> tuple[EnvRequirement, ...]:
    """What the agent's vendors need, fallbacks too: stt, llm, tts; then its tools and recordings.

    A vendor may need nothing.
    """
    requirements = []
    spoken = spec.modality == "voice"
    stages = (
        ("stt", (spec.stt, *spec.fallbacks.stt) if spoken else ()),
        ("llm", (spec.llm, *spec.fallbacks.llm)),
        ("tts", (spec.tts, *spec.fallbacks.tts) if spoken else ()),
    )
    for stage, options in ((stage, each) for stage, all_of in stages for each in all_of):
        names: tuple[str, ...]
        if isinstance(options, OpenAICompatibleOptions):
            names = () if options.api_key_env is None else (options.api_key_env,)
        else:
            names = _VENDOR_KEYS[options.provider]
        if names:
            requirements.append(EnvRequirement(names, spec.name, stage, options.provider))
    requirements += (
        EnvRequirement((name,), spec.name, "tools", tool.names[0])
        for tool in spec.tools
        for name in tool.environment
    )
    if spec.record == "audio":
        place = ("ASSISTANT_RECORDINGS_URL",)
        requirements.append(EnvRequirement(place, spec.name, "recording", "a place for recordings"))
    return tuple(dict.fromkeys(requirements))
