-- Write down what became of a command, and how the conversation is directed since; only from the
-- attempt that holds the session. Behind tell.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:commands (stream)   3 session:{id}:control (hash)
--       4 session:{id}:events (stream)   5 assistant:events (stream)   6 assistant:outbox (stream)
-- ARGV  1 session id   2 attempt   3 the command's entry   4 its id   5 what became of it
--       6 the direction as JSON   7 name of the event   8 its data   9 events kept per session
--      10 events kept in all   11 events kept in the outbox

local left = redis.call("PTTL", KEYS[1])
if left == -2 or redis.call("HGET", KEYS[1], "attempt") ~= ARGV[2] then return end
-- The connection broke after this was done, and it was sent again.
if redis.call("XDEL", KEYS[2], ARGV[3]) == 0 then return end

local seen = cjson.decode(redis.call("HGET", KEYS[3], "seen") or "[]")
for _, row in ipairs(seen) do
  if row[1] == ARGV[4] then row[2] = ARGV[5] end
end
if #seen > 0 then redis.call("HSET", KEYS[3], "seen", cjson.encode(seen)) end
redis.call("HSET", KEYS[3], "direction", ARGV[6])
tell({KEYS[4], KEYS[5], KEYS[6]}, {ARGV[9], ARGV[10], ARGV[11]}, ARGV[1], ARGV[7], ARGV[8], left)
if left > 0 then redis.call("PEXPIRE", KEYS[3], left) end
