"""The turn-detector plugin's text models; an extra, since they need a download."""

from livekit.plugins.turn_detector.english import EnglishModel
from livekit.plugins.turn_detector.multilingual import MultilingualModel

from assistant.catalog.agent import AgentSpec
from assistant.catalog.turns import TextTurnDetection


def build_turn_detection(spec: AgentSpec) -> EnglishModel | MultilingualModel:
    options = spec.turn_detection
    if not isinstance(options, TextTurnDetection):
        raise TypeError(f"{spec.name} does not use the turn-detector plugin")
    model = EnglishModel if options.model == "english" else MultilingualModel
    return model(unlikely_threshold=options.unlikely_threshold)
