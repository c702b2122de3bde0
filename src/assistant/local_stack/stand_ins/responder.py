"""A scripted conversationalist with manners."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from assistant.local_stack.stand_ins import arithmetic
from assistant.local_stack.stand_ins.chat_request import (
    Answer,
    ChatRequest,
    Message,
    NamedChoice,
    Spoken,
    Tool,
    ToolCall,
)
from assistant.local_stack.stand_ins.minutes import asked_schema, minutes
from assistant.local_stack.stand_ins.script import ReplyRule
from assistant.local_stack.stand_ins.tool_choice import call_for, choose, spoken_result

GREETING = "Hello! How can I help you today?"
FAREWELL = "Goodbye! It was nice talking to you."
JOKES = (
    "Why did the scarecrow win a prize? Because he was outstanding in his field.",
    "I told my computer that I needed a break. It said: no problem, I will go to sleep.",
    "Why don't skeletons fight each other? They don't have the guts.",
    "What do you call a fish without eyes? A fsh.",
)
#: Recognition's usual slips in the questions that are answered here.
SLIPS = (
    (re.compile(r"\bday to day\b"), "date today"),
    (re.compile(r"\b(?:job|jock|choke|joe)(?= please\b|$)"), "joke"),
    (re.compile(r"\bwhat'?s\b"), "what is"),
    (re.compile(r"\bit'?s\b"), "it is"),
    (re.compile(r"\bgood ?bye\b|\bgood buy\b"), "goodbye"),
)
#: What is asked of a model whose answer, the message before, is to be gone on with.
GO_ON = re.compile(r"\bbroke off\b.*\bgo on\b", re.IGNORECASE | re.DOTALL)
#: A quotation of a system prompt stays short enough to be spoken.
MAX_QUOTED_CHARS = 200

Clock = Callable[[], datetime]
_Manner = tuple[re.Pattern[str], Callable[["Responder", str, str, Sequence[Message]], str]]


def local_now() -> datetime:
    return datetime.now().astimezone()


def plain(text: str) -> str:
    """Lower case without punctuation, with recognition's usual slips mended."""
    words = " ".join(re.sub(r"[^\w\s'+*/.-]|[.](?!\d)", " ", text.lower()).split())
    for slip, meant in SLIPS:
        words = slip.sub(meant, words)
    return words


def _filled(reply: str, match: re.Match[str]) -> str:
    groups = [match[0], *(group or "" for group in match.groups())]
    return re.sub(
        r"\{(\d+)\}",
        lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else "",
        reply,
    )


def _rest(whole: Answer, half: str) -> Answer:
    """What is left to say of an answer, as models have it: without the space in front."""
    if not isinstance(whole, Spoken):
        return whole
    return Spoken(whole.text.removeprefix(half.strip()).strip())


def _given_back(messages: Sequence[Message]) -> dict[str, Any]:
    """What tools gave back so far, as far as it has names; the latest wins."""
    known: dict[str, Any] = {}
    for message in messages:
        if message.role == "tool":
            try:
                result = json.loads(message.text)
            except ValueError:
                continue
            known |= result if isinstance(result, dict) else {}
    return known


class Responder:
    """Answers from the conversation alone; `rules` come first, then tools, then manners."""

    def __init__(self, rules: Sequence[ReplyRule] = (), clock: Clock = local_now) -> None:
        self._rules = [(re.compile(rule.pattern, re.IGNORECASE), rule) for rule in rules]
        self._clock = clock

    def answer(self, request: ChatRequest) -> Answer:
        """What to say or call next."""
        messages = request.messages
        tools = [] if request.tool_choice == "none" else request.tools or []
        schema = asked_schema(messages[0].text) if messages[0].role == "system" else None
        if schema is not None and len(messages) > 1:
            return Spoken(minutes(schema, messages[1].text))
        last = messages[-1]
        if last.role == "tool":
            return self._by_rule("tool", last.text) or Spoken(self._results(messages))
        if GO_ON.search(last.text) and len(messages) > 2 and messages[-2].role == "assistant":
            whole = self.answer(request.model_copy(update={"messages": messages[:-2]}))
            return _rest(whole, messages[-2].text)
        if last.role in ("system", "developer") and len(messages) > 1:
            return Spoken(self._instructed(last.text))
        said = next((m.text for m in reversed(messages) if m.role == "user"), None)
        forced = self._forced(request, tools, said or "")
        if forced is not None:
            return forced
        if said is None or last.role == "assistant":
            return Spoken(GREETING)
        return self._reply(said, messages, tools)

    @staticmethod
    def _forced(request: ChatRequest, tools: Sequence[Tool], said: str) -> ToolCall | None:
        choice = request.tool_choice
        words = plain(said)
        if isinstance(choice, NamedChoice):
            named = [tool for tool in tools if tool.function.name == choice.function.name]
            return call_for(named[0], words) if named else None
        if choice == "required" and tools:
            return call_for(choose(tools, words) or tools[0], words)
        return None

    def _reply(self, said: str, messages: Sequence[Message], tools: Sequence[Tool]) -> Answer:
        ruled = self._by_rule("user", said)
        if ruled is not None:
            return ruled
        words = plain(said)
        tool = choose(tools, words)
        if tool is not None:
            return call_for(tool, words, _given_back(messages))
        for manner, speak in MANNERS:
            if manner.search(words):
                return Spoken(speak(self, said, words, messages))
        result = arithmetic.solve(words)
        if result is not None:
            return Spoken(result)
        return Spoken(f"I heard you say: {said.strip()}" if words else "I did not catch that.")

    def _by_rule(self, source: str, text: str) -> Answer | None:
        for pattern, rule in self._rules:
            match = pattern.search(text) if rule.source == source else None
            if match is None:
                continue
            if rule.call is not None:
                return ToolCall(_filled(rule.call.name, match), _filled(rule.call.arguments, match))
            return Spoken(_filled(rule.reply or "", match))
        return None

    @staticmethod
    def _results(messages: Sequence[Message]) -> str:
        results: list[str] = []
        for message in reversed(messages):
            if message.role != "tool":
                break
            results.insert(0, spoken_result(message.text))
        text = ". ".join(result.rstrip(".") for result in results)
        return text if text[-1] in "!?" else text + "."

    def _instructed(self, instructions: str) -> str:
        quoted = re.search(r"[\"“](.+?)[\"”]", instructions)
        if quoted:
            return quoted[1]
        words = plain(instructions)
        if re.search(r"\b(?:goodbye|farewell)\b", words):
            return FAREWELL
        if re.search(r"\b(?:greet|hello|welcome)\b", words):
            return GREETING
        told = (
            r"^\W*(?:please\W+)?(?:say|tell|inform|let|ask|remind)\b(?:.*?\b(?:that|know|to)\b)?\W*"
        )
        rest = re.sub(told, "", instructions.strip(), count=1, flags=re.IGNORECASE)
        return rest[:1].upper() + rest[1:] if rest else GREETING

    def tell_time(self, _said: str, _words: str, _messages: Sequence[Message]) -> str:
        return f"It is {self._clock():%I:%M %p}.".replace(" 0", " ")

    def tell_date(self, _said: str, _words: str, _messages: Sequence[Message]) -> str:
        now = self._clock()
        return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."

    def tell_joke(self, _said: str, _words: str, messages: Sequence[Message]) -> str:
        told = sum(message.text in JOKES for message in messages if message.role == "assistant")
        return JOKES[told % len(JOKES)]

    def repeat(self, said: str, words: str, _messages: Sequence[Message]) -> str:
        lead = re.match(
            r"\W*(?:please\W+)?(?:repeat(?:\W+after\W+me)?|say)\W+", said, re.IGNORECASE
        )
        rest = said[lead.end() :].strip() if lead else words
        return rest[:1].upper() + rest[1:]

    def greet_by_name(self, _said: str, words: str, _messages: Sequence[Message]) -> str:
        name = re.sub(r".*\bmy name is ", "", words).split(" ")[0]
        return f"Nice to meet you, {name.title()}."

    def tell_their_name(self, _said: str, _words: str, messages: Sequence[Message]) -> str:
        for message in reversed(messages):
            match = re.search(r"\bmy name is (\w+)", plain(message.text))
            if message.role == "user" and match:
                return f"Your name is {match[1].title()}."
        return "You have not told me your name."

    def tell_own_name(self, _said: str, _words: str, messages: Sequence[Message]) -> str:
        prompts = [message for message in messages if message.role in ("system", "developer")]
        if not prompts or not prompts[0].text.strip():
            return "I am a voice assistant."
        prompt = " ".join(prompts[0].text.split())
        name = re.search(
            r"\b(?:your name is|you are called|call yourself) ([\w' -]+)", prompt, re.IGNORECASE
        )
        if name:
            return f"My name is {name[1].strip()}."
        sentence = re.split(r"(?<=[.!?])\s", prompt)[0][:MAX_QUOTED_CHARS]
        return f"I was told: {sentence}"


#: In order of precedence; each is searched in the plain words.
MANNERS: tuple[_Manner, ...] = (
    (re.compile(r"^(?:please )?(?:repeat|say)\b(?! that| again| what).+"), Responder.repeat),
    (re.compile(r"\bwhat(?: is|'s| was)? my name\b|\bwho am i\b"), Responder.tell_their_name),
    (re.compile(r"\bmy name is \w+"), Responder.greet_by_name),
    (re.compile(r"\bwhat is your name\b|\bwho are you\b|\byour name\b"), Responder.tell_own_name),
    (re.compile(r"\b(?:joke|make me laugh)\b"), Responder.tell_joke),
    (re.compile(r"\bdate\b|\bwhat day\b|\bday (?:is it|today)\b"), Responder.tell_date),
    (re.compile(r"\b(?:what|tell|know|have|got)\b.*\btime\b|\btime is it\b"), Responder.tell_time),
    (re.compile(r"\b(?:goodbye|bye|see you|farewell)\b"), lambda *_: FAREWELL),
    (re.compile(r"\bthank(?:s| you)\b"), lambda *_: "You are welcome."),
    (re.compile(r"\bhow are you\b"), lambda *_: "I am fine, thank you. How can I help you?"),
    (
        re.compile(r"^(?:well )?(?:hello|hi|hey|good (?:morning|evening|afternoon))\b"),
        lambda *_: GREETING,
    ),
)
