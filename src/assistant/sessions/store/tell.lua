-- Events that change no record. Put in front of the scripts that tell some.

-- `streams`: session:{id}:events, assistant:events, assistant:outbox (written to only if somebody
-- reads it); `kept`: how many events each keeps; `left`: ms that the session's record still lives.
local function tell(streams, kept, id, name, data, left)
  local entry = redis.call("XADD", streams[1], "MAXLEN", "~", kept[1], "*",
    "name", name, "data", data)
  if left > 0 then redis.call("PEXPIRE", streams[1], left) end
  local event = redis.call("XADD", streams[2], "MAXLEN", "~", kept[2], "*",
    "session", id, "name", name, "data", data, "entry", entry)
  redis.call("XADD", streams[3], "NOMKSTREAM", "MAXLEN", "~", kept[3], "*",
    "session", id, "name", name, "data", data, "event", event)
  if redis.call("PTTL", streams[2]) < left then redis.call("PEXPIRE", streams[2], left) end
end
