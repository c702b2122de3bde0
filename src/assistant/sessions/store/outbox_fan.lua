-- Turn entries of the outbox into deliveries: each exactly once, in the order of the entries,
-- however many replicas try.
--
-- KEYS  1 assistant:outbox (stream)
-- ARGV  1 entries as JSON array of {id, deliveries: [{id, endpoint, session, event, body, score,
--         keys: {record, queue, due, pending, dead, session}}]}
--       2 now (Unix s)   3 deliveries that may wait per session   4 and per endpoint
--       5 seconds to keep deliveries   6 dead ones listed per endpoint
--       7 prefix of deliveries' keys   8 deliveries kept per session   9 prefix of endpoints' keys
-- Returns how many deliveries were made, and how many found no place and are dead at once.

local made, dead = 0, 0

local function trim(index, limit)
  local extra = redis.call("ZCARD", index) - limit
  if extra <= 0 then return {} end
  local gone = redis.call("ZRANGE", index, 0, extra - 1)
  redis.call("ZREM", index, unpack(gone))
  return gone
end

-- What its session's index does not name, could not be erased with the session.
local function forget(id)
  local found = redis.call("HMGET", ARGV[7] .. id, "endpoint", "status")
  if found[1] then redis.call("ZREM", ARGV[9] .. found[1] .. ":" .. found[2], id) end
  redis.call("DEL", ARGV[7] .. id)
end

local function add(d)
  local k = d.keys
  local full = redis.call("LLEN", k.queue) >= tonumber(ARGV[3])
    or redis.call("ZCARD", k.pending) >= tonumber(ARGV[4])
  local status = full and "dead" or "pending"
  redis.call("HSET", k.record, "endpoint", d.endpoint, "session", d.session, "event", d.event,
    "body", d.body, "score", d.score, "status", status, "since", ARGV[2], "createdAt", ARGV[2],
    "attempts", "0", "log", "[]")
  redis.call("EXPIRE", k.record, ARGV[5])
  redis.call("ZADD", k.session, d.score, d.id)
  redis.call("EXPIRE", k.session, ARGV[5])
  for _, old in ipairs(trim(k.session, tonumber(ARGV[8]))) do forget(old) end
  made = made + 1
  if full then
    dead = dead + 1
    redis.call("HSET", k.record, "finishedAt", ARGV[2], "error", "too many wait already")
    redis.call("ZADD", k.dead, d.score, d.id)
    redis.call("EXPIRE", k.dead, ARGV[5])
    for _, old in ipairs(trim(k.dead, tonumber(ARGV[6]))) do redis.call("DEL", ARGV[7] .. old) end
    return
  end
  redis.call("RPUSH", k.queue, d.id)
  redis.call("ZADD", k.pending, d.score, d.id)
  -- NX: a session that is being delivered, or waits for its next attempt, keeps its turn.
  redis.call("ZADD", k.due, "NX", ARGV[2], d.session)
  redis.call("EXPIRE", k.queue, ARGV[5])
  redis.call("EXPIRE", k.pending, ARGV[5])
  redis.call("EXPIRE", k.due, ARGV[5])
end

for _, entry in ipairs(cjson.decode(ARGV[1])) do
  if redis.call("XDEL", KEYS[1], entry.id) == 1 then
    for _, delivery in ipairs(entry.deliveries) do add(delivery) end
  end
end
return {made, dead}
