"""Do the vendors take our keys? One cheap request each, and only when asked for."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from assistant.findings import Finding, fail, ok, warn
from assistant.settings import WorkerSettings

ANSWER_TIMEOUT_S = 8.0
# Source: livekit-plugins-cartesia 1.8.9, `constants.py`.
CARTESIA_VERSION = "2025-04-16"


@dataclass(frozen=True)
class _Question:
    vendor: str
    url: str
    headers: Mapping[str, str]


def _questions(settings: WorkerSettings) -> list[_Question]:
    """Requests that list, or make nothing that costs; for the vendors that have a key."""
    asked = []
    if settings.groq_api_key is not None:
        base = (settings.groq_url or "https://api.groq.com/openai/v1").rstrip("/")
        key = settings.groq_api_key.get_secret_value()
        asked.append(_Question("groq", f"{base}/models", {"Authorization": f"Bearer {key}"}))
    stt_key = settings.stt_key()
    if stt_key is not None:
        base = (settings.assemblyai_url or "wss://streaming.assemblyai.com").rstrip("/")
        url = f"{base.replace('ws', 'http', 1)}/v3/token?expires_in_seconds=60"
        asked.append(_Question("assemblyai", url, {"Authorization": stt_key}))
    if settings.inworld_api_key is not None:
        base = (settings.inworld_url or "https://api.inworld.ai/").rstrip("/")
        key = settings.inworld_api_key.get_secret_value()
        asked.append(
            _Question("inworld", f"{base}/tts/v1/voices", {"Authorization": f"Basic {key}"})
        )
    if settings.deepgram_api_key is not None:
        base = (settings.deepgram_url or "https://api.deepgram.com/v1/listen").rstrip("/")
        url = f"{base.removesuffix('/listen')}/auth/token"
        key = settings.deepgram_api_key.get_secret_value()
        asked.append(_Question("deepgram", url, {"Authorization": f"Token {key}"}))
    if settings.cartesia_api_key is not None:
        base = (settings.cartesia_url or "https://api.cartesia.ai").rstrip("/")
        key = settings.cartesia_api_key.get_secret_value()
        headers = {"X-API-Key": key, "Cartesia-Version": CARTESIA_VERSION}
        asked.append(_Question("cartesia", f"{base}/voices?limit=1", headers))
    return asked


async def check_vendors(settings: WorkerSettings) -> AsyncIterator[Finding]:
    """One finding for each vendor with a key."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        for question in _questions(settings):
            yield await _ask(http, question)


async def _ask(http: aiohttp.ClientSession, question: _Question) -> Finding:
    name = f"vendor {question.vendor}"
    try:
        async with http.get(question.url, headers=question.headers) as response:
            status = response.status
    except (aiohttp.ClientError, OSError) as error:
        cause = str(error) or type(error).__name__
        return fail(name, cause, "let the workers' hosts reach it")
    if status in {401, 403}:
        return fail(name, f"refuses our key ({status})", "give one that is valid")
    if status >= 400:
        return warn(name, f"answers with {status}", "see the vendor's status page")
    return ok(name, "takes our key")
