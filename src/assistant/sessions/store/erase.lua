-- Erase a session: everything that Redis holds of it, so that nobody can tell that it ever was;
-- what was counted stays. Put behind count.lua and index.lua.
--
-- KEYS  1 session:{id}   2 session:{id}:events   3 assistant:due   4 assistant:slots
--       5 assistant:queue   6 session:{id}:items   7 assistant:events   8 assistant:outbox
--       9 assistant:sessions (see index.lua)   10 agent:{id}:pid   11 session:{id}:logs
--      12 session:{id}:deliveries   13 session:{id}:report   14 assistant:reports (zset)
--      15 session:{id}:commands   16 session:{id}:control
-- ARGV  1 session id   2 now (Unix s)   3 "1": only if its record is gone already
--       4 prefix of deliveries' keys    5 prefix of endpoints' keys
--       6 assistant:minute:{n} (hash)   7 seconds to keep it

if ARGV[3] == "1" and redis.call("EXISTS", KEYS[1]) == 1 then return end
local id = ARGV[1]
local CHUNK = 1000

-- Drop the session's entries of a stream between two ids; the field `session` is the first one.
local function drop(stream, first, last)
  local rows
  repeat
    rows = redis.call("XRANGE", stream, first, last, "COUNT", CHUNK)
    for _, row in ipairs(rows) do
      if row[2][2] == id then redis.call("XDEL", stream, row[1]) end
    end
    if #rows > 0 then first = "(" .. rows[#rows][1] end
  until #rows < CHUNK
end

-- An event is written to both streams in one step, so both entries bear the same millisecond.
local seen
for _, row in ipairs(redis.call("XRANGE", KEYS[2], "-", "+")) do
  local ms = string.match(row[1], "^%d+")
  if not seen and row[2][2] ~= "session.created" then
    -- So many events that the first ones were trimmed here, but perhaps not there.
    drop(KEYS[7], "-", ms)
  end
  if ms ~= seen then drop(KEYS[7], ms, ms) end
  seen = ms
end
drop(KEYS[8], "-", "+")

for _, delivery in ipairs(redis.call("ZRANGE", KEYS[12], 0, -1)) do
  local key = ARGV[4] .. delivery
  local found = redis.call("HMGET", key, "endpoint", "status")
  if found[1] then
    local endpoint = ARGV[5] .. found[1]
    redis.call("ZREM", endpoint .. ":" .. (found[2] or "pending"), delivery)
    redis.call("ZREM", endpoint .. ":due", id)
    redis.call("DEL", endpoint .. ":queue:" .. id)
  end
  redis.call("DEL", key)
end

redis.call("DEL", KEYS[1], KEYS[2], KEYS[6], KEYS[10], KEYS[11], KEYS[12], KEYS[13])
redis.call("DEL", KEYS[15], KEYS[16])
redis.call("ZREM", KEYS[14], id)
leave_index(KEYS[9], id)
redis.call("ZREM", KEYS[3], id)
local slots, places = redis.call("ZREM", KEYS[4], id), redis.call("ZREM", KEYS[5], id)
if slots + places > 0 then
  note_load(ARGV[6], KEYS[4], KEYS[5], -slots, -places)
  keep_minute(ARGV[6], ARGV[7])
  local first = redis.call("ZRANGE", KEYS[5], 0, 0)[1]
  if first then redis.call("ZADD", KEYS[3], ARGV[2], first) end
end
