-- Items of a conversation. Put behind tell.lua, in front of the scripts that keep some.

-- `own`: session:{id}:items, session:{id}:report; `streams` and `events` as `tell` has them;
-- `bounds`: items kept, bytes kept; `said`: the item's id, the item as JSON, its event's name, the
-- event's data.
local function keep(own, streams, events, bounds, id, said, left)
  redis.call("RPUSH", own[1], said[2])
  redis.call("HSET", own[2], "last_item", said[1])
  local bytes = redis.call("HINCRBY", own[2], "bytes", #said[2])
  while redis.call("LLEN", own[1]) > tonumber(bounds[1]) or bytes > tonumber(bounds[2]) do
    local oldest = redis.call("LPOP", own[1])
    if not oldest then break end
    bytes = redis.call("HINCRBY", own[2], "bytes", -#oldest)
    redis.call("HINCRBY", own[2], "dropped", 1)
  end
  tell(streams, events, id, said[3], said[4], left)
  if left > 0 then
    redis.call("PEXPIRE", own[1], left)
    redis.call("PEXPIRE", own[2], left)
  end
end

-- What an attempt is in the middle of, as JSON, in place of what it was before; "" for nothing.
local function begin(report, attempt, unfinished)
  if unfinished == "" then
    redis.call("HDEL", report, "unfinished:" .. attempt)
  else
    redis.call("HSET", report, "unfinished:" .. attempt, unfinished)
  end
end
