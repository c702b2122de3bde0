"""Every Redis key of this project: its shape, its type, who writes it, when it expires.

| key | type | holds | written by | expires |
|---|---|---|---|---|
| `session:{id}` | hash | the record, a field each (older names) | save.lua | retention after end |
| its field `talking` | | whom the conversation was given to | note.lua | with the record |
| `session:{id}:events` | stream | what happened, bounded | save.lua, note.lua | with the record |
| `session:{id}:items` | list | what was said and done, bounded | item.lua | with the record |
| `session:{id}:report` | hash | parts of its report | archive.py | with the record |
| `session:{id}:commands` | stream | what its job is to do | command_*.lua | at the end |
| `session:{id}:control` | hash | what they came to | command_*.lua | at the end |
| `session:{id}:logs` | list | the same as lines, bounded (older) | save.lua | with the record |
| `session:{id}:words` | channel | what is being said, while it is | words.py | never stored |
| `agent:{id}:pid` | string | the active agent's process (older) | save.lua | with the agent |
| `assistant:events` | stream | the same over all sessions, bounded | same | with the last record |
| `assistant:outbox` | stream | events to be delivered | save.lua, note.lua | OUTBOX_KEEP_S |
| `assistant:due` | zset | session id by its next check (Unix s) | save.lua, queue.py | same |
| `assistant:slots` | zset | ids that hold a slot, by when they took it | save.lua | same |
| `assistant:queue` | zset | waiting ids, in the order of coming | save.lua | same |
| `assistant:sessions` | zset | all ids by creation; `:*` beside: index.lua | save.lua | same |
| `assistant:reports` | zset | ended ids, by when their report counts as ready | save.lua | same |
| `assistant:holds` | list | how long slots were held lately (s), bounded | save.lua | same |
| `assistant:totals` | hash | what was counted so far; see tally.py | save.lua | same |
| `assistant:minute:{n}` | hash | the same of the n-th minute since 1970 | count.lua | 25 h |
| `assistant:idempotency:{hash}` | hash | first answers, sealed | idempotency_*.lua | a day |
| `assistant:workers` | set | worker ids | workers.py | retention |
| `worker:{id}` | string | a worker's last beat, JSON | workers.py | BEAT_TTL_S |
| `assistant:standby` | zset | jobs that stand by, by when that lapses | standby_*.lua | a day |
| `assistant:standby:since` | zset | the same, by since when they wait | same | same |
| `assistant:standby:asked` | string | that a replica has just asked for some | standby.py | ASK_S |
| `standby:{id}` | string | what became of one, JSON | standby_*.lua | SETTLED_S |
| `standby:{id}:wake` | list | wakes it | standby_*.lua | WAKE_S |
| `standby:given:{id}:{attempt}` | string | to which an attempt was given | standby_*.lua | WAKE_S |
| `delivery:{id}` | hash | one webhook out | outbox_*.lua | DELIVERY_KEEP_S |
| `assistant:deliveries` | string | how often one was settled | outbox_settle.lua | same |
| `endpoint:{name}:due` | zset | session id by its next attempt (Unix s) | outbox_*.lua | same |
| `endpoint:{name}:queue:{id}` | list | its deliveries in order | outbox_*.lua | same |
| `endpoint:{name}:{status}` | zset | delivery ids, by the time of the event | outbox_*.lua | same |
| `session:{id}:deliveries` | zset | the session's delivery ids, likewise | outbox_*.lua | same |

A shared key's time to live is renewed by every write, so none outlives the deployment.
"""

DUE = "assistant:due"
SLOTS = "assistant:slots"
QUEUE = "assistant:queue"
EVENTS = "assistant:events"
WORKERS = "assistant:workers"
OUTBOX = "assistant:outbox"
SESSIONS = "assistant:sessions"
HOLDS = "assistant:holds"
TOTALS = "assistant:totals"
REPORTS = "assistant:reports"
DELIVERIES = "assistant:deliveries"
ENDPOINTS = "endpoint:"
STANDBY = "assistant:standby"
STANDBY_SINCE = "assistant:standby:since"
STANDBY_ASKED = "assistant:standby:asked"


def session(session_id: str) -> str:
    return f"session:{session_id}"


def session_events(session_id: str) -> str:
    return f"session:{session_id}:events"


def session_items(session_id: str) -> str:
    return f"session:{session_id}:items"


def session_report(session_id: str) -> str:
    return f"session:{session_id}:report"


def session_commands(session_id: str) -> str:
    return f"session:{session_id}:commands"


def session_control(session_id: str) -> str:
    return f"session:{session_id}:control"


def session_words(session_id: str) -> str:
    """A channel, not a key."""
    return f"session:{session_id}:words"


def session_logs(session_id: str) -> str:
    return f"session:{session_id}:logs"


def agent_pid(session_id: str) -> str:
    return f"agent:{session_id}:pid"


def sessions_by(kind: str, value: str) -> str:
    """The part of the index with this status, agent or user (by its label)."""
    return f"{SESSIONS}:{kind}:{value}"


def minute(at: float) -> str:
    """The figures of the minute of this moment (Unix seconds)."""
    return f"assistant:minute:{int(at // 60)}"


def idempotency(digest: str) -> str:
    return f"assistant:idempotency:{digest}"


def worker(worker_id: str) -> str:
    return f"worker:{worker_id}"


def standby(standby_id: str) -> str:
    return f"standby:{standby_id}"


def standby_wake(standby_id: str) -> str:
    return f"standby:{standby_id}:wake"


def standby_given(session_id: str, attempt: int) -> str:
    return f"standby:given:{session_id}:{attempt}"


def delivery(delivery_id: str) -> str:
    return f"delivery:{delivery_id}"


def endpoint_due(endpoint: str) -> str:
    return f"endpoint:{endpoint}:due"


def endpoint_queue(endpoint: str, session_id: str) -> str:
    return f"endpoint:{endpoint}:queue:{session_id}"


def endpoint_deliveries(endpoint: str, status: str) -> str:
    return f"endpoint:{endpoint}:{status}"


def session_deliveries(session_id: str) -> str:
    return f"session:{session_id}:deliveries"
