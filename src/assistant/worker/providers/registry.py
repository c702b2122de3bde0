"""Which module builds which provider. To add a vendor: docs/vendors.md.

Modules are imported by name, only those that agents.yaml uses: each plugin costs memory and time
in every worker, and the turn-detector one starts a process of its own.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from assistant.catalog.agent import AgentSpec
from assistant.catalog.tools import McpTool
from assistant.worker.errors import MissingExtraError

_PACKAGE = "assistant.worker.providers"

STT = {"assemblyai": f"{_PACKAGE}.assemblyai", "deepgram": f"{_PACKAGE}.deepgram"}
LLM = {
    "groq": f"{_PACKAGE}.groq",
    "openai-compatible": f"{_PACKAGE}.openai_compatible",
}
TTS = {"cartesia": f"{_PACKAGE}.cartesia", "inworld": f"{_PACKAGE}.inworld"}
VAD = {"inference": f"{_PACKAGE}.inference", "silero": f"{_PACKAGE}.silero"}
# "vad" and "stt" are modes of the session, not models.
TURN_DETECTION = {
    "v1-mini": f"{_PACKAGE}.inference",
    "multilingual": f"{_PACKAGE}.turn_detector",
    "english": f"{_PACKAGE}.turn_detector",
}
# What agents with tools of an MCP server need; the protocol's package alone takes 19 MB.
MCP = "assistant.worker.tools.mcp_server"
# Their models run in one process for all jobs of a worker, which the SDK only starts for what was
# imported where the worker itself runs. Source: livekit-agents 1.8.9, `inference_runner.py`.
SHARED_MODELS = frozenset({f"{_PACKAGE}.turn_detector"})
# Modules whose plugin does not come with the project itself: the extra, and the plugin.
_EXTRAS = {
    f"{_PACKAGE}.cartesia": ("cartesia", "livekit.plugins.cartesia"),
    f"{_PACKAGE}.deepgram": ("deepgram", "livekit.plugins.deepgram"),
    f"{_PACKAGE}.turn_detector": ("turn-detector", "livekit.plugins.turn_detector"),
}


def modules_for(specs: Iterable[AgentSpec]) -> list[str]:
    """The modules that these agents need beside what every job has, each once, sorted."""
    modules = set()
    for spec in specs:
        modules |= {STT[options.provider] for options in (spec.stt, *spec.fallbacks.stt)}
        modules |= {LLM[options.provider] for options in (spec.llm, *spec.fallbacks.llm)}
        modules |= {TTS[options.provider] for options in (spec.tts, *spec.fallbacks.tts)}
        modules.add(VAD[spec.vad.provider])
        if spec.turn_detection.model in TURN_DETECTION:
            modules.add(TURN_DETECTION[spec.turn_detection.model])
        if any(isinstance(tool, McpTool) for tool in spec.tools):
            modules.add(MCP)
    return sorted(modules)


def check_installed(specs: Iterable[AgentSpec]) -> None:
    """Refuse agents whose vendors' plugins are not there, without importing one.

    Raises:
        MissingExtraError: names the first.
    """
    for module in modules_for(specs):
        extra, plugin = _EXTRAS.get(module, ("", ""))
        if plugin and importlib.util.find_spec(plugin) is None:
            raise MissingExtraError(module.rsplit(".", 1)[-1], extra)


def load(module: str) -> Any:
    """Import a provider module.

    Raises:
        MissingExtraError: its package is not installed.
    """
    try:
        loaded: ModuleType = importlib.import_module(module)
    except ImportError as error:
        if module in _EXTRAS:
            raise MissingExtraError(module.rsplit(".", 1)[-1], _EXTRAS[module][0]) from error
        raise
    return loaded
