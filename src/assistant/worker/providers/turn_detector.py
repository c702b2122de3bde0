"""The turn-detector plugin's text models; an extra, since they need a download."""

from huggingface_hub import try_to_load_from_cache
from livekit.plugins.turn_detector.english import EnglishModel
from livekit.plugins.turn_detector.models import (
    HG_MODEL,
    MODEL_REVISIONS,
    ONNX_FILENAME,
    EOUModelType,
)
from livekit.plugins.turn_detector.multilingual import MultilingualModel

from assistant.catalog.agent import AgentSpec
from assistant.catalog.turns import TextTurnDetection
from assistant.worker.errors import WeightsMissingError


def check(spec: AgentSpec) -> None:
    """Refuse an agent whose model was not downloaded; the SDK would go on without it.

    Raises:
        WeightsMissingError: it was not.
    """
    options = spec.turn_detection
    if not isinstance(options, TextTurnDetection):
        return
    kind: EOUModelType = "en" if options.model == "english" else "multilingual"
    file = f"onnx/{ONNX_FILENAME}"
    found = try_to_load_from_cache(HG_MODEL, file, revision=MODEL_REVISIONS[kind])
    if not isinstance(found, str):
        raise WeightsMissingError(spec.name, options.model)


def build_turn_detection(
    spec: AgentSpec, _shared: str | None = None
) -> EnglishModel | MultilingualModel:
    """These models run in the SDK's process for them, whatever the worker shares."""
    options = spec.turn_detection
    if not isinstance(options, TextTurnDetection):
        raise TypeError(f"{spec.name} does not use the turn-detector plugin")
    model = EnglishModel if options.model == "english" else MultilingualModel
    return model(unlikely_threshold=options.unlikely_threshold)
