"""Every Redis key of this project: its shape, its type, who writes it, when it expires.

| key | type | holds | written by | expires |
|---|---|---|---|---|
| `session:{id}` | hash | the record, a field each (older names) | save.lua | retention after end |
| `session:{id}:events` | stream | what happened, bounded | save.lua, note.lua | with the record |
| `assistant:events` | stream | the same over all sessions, bounded | same | with the last record |
| `assistant:due` | zset | session id by its next check (Unix s) | save.lua, queue.py | same |
| `assistant:slots` | zset | ids that hold a slot, by when they took it | save.lua | same |
| `assistant:queue` | zset | waiting ids, in the order of coming | save.lua | same |
| `assistant:workers` | set | worker ids | workers.py | retention |
| `worker:{id}` | string | a worker's last beat, JSON | workers.py | BEAT_TTL_S |

A shared key's time to live is renewed by every write, so none outlives the deployment.
"""

DUE = "assistant:due"
SLOTS = "assistant:slots"
QUEUE = "assistant:queue"
EVENTS = "assistant:events"
WORKERS = "assistant:workers"


def session(session_id: str) -> str:
    return f"session:{session_id}"


def session_events(session_id: str) -> str:
    return f"session:{session_id}:events"


def worker(worker_id: str) -> str:
    return f"worker:{worker_id}"
