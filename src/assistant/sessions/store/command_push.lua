-- Give a session a command, for the job of its agent to read, and tell of it. Behind tell.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:commands (stream)   3 session:{id}:control (hash)
--       4 session:{id}:events (stream)   5 assistant:events (stream)   6 assistant:outbox (stream)
-- ARGV  1 session id   2 id of the command   3 the command as JSON
--       4 "1": it takes an agent that is in the room   5 commands that may wait   6 ids remembered
--       7 name of the event   8 its data   9 events kept per session   10 events kept in all
--      11 events kept in the outbox
-- Returns "missing", "over", "absent" (no agent is there), "full", "waits" (until one comes),
-- "there" (one is), or what became of the command if it was given before.

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return "missing" end
local seen = cjson.decode(redis.call("HGET", KEYS[3], "seen") or "[]")
local record = redis.call("HMGET", KEYS[1], "status", "attempt")
local there = record[1] == "active"
-- The connection broke after this was stored, or the caller tried again.
for _, row in ipairs(seen) do
  if row[1] == ARGV[2] then
    if row[2] ~= "" then return row[2] end
    return there and "there" or "waits"
  end
end
if record[1] == "ending" or record[1] == "ended" or record[1] == "failed" then return "over" end
if ARGV[4] == "1" and not there then return "absent" end
if redis.call("XLEN", KEYS[2]) >= tonumber(ARGV[5]) then return "full" end

redis.call("XADD", KEYS[2], "*", "id", ARGV[2], "attempt", there and record[2] or "0",
  "command", ARGV[3])
table.insert(seen, {ARGV[2], ""})
while #seen > tonumber(ARGV[6]) do table.remove(seen, 1) end
redis.call("HSET", KEYS[3], "seen", cjson.encode(seen))
tell({KEYS[4], KEYS[5], KEYS[6]}, {ARGV[9], ARGV[10], ARGV[11]}, ARGV[1], ARGV[7], ARGV[8], left)
if left > 0 then
  redis.call("PEXPIRE", KEYS[2], left)
  redis.call("PEXPIRE", KEYS[3], left)
end
return there and "there" or "waits"
