-- Keep something that was said or done, and tell of it; only from the attempt that holds the
-- session, whose last words may come when the session is over already. Behind tell.lua, keep.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:items (list)   3 session:{id}:report (hash)
--       4 session:{id}:events (stream)   5 assistant:events (stream)   6 assistant:outbox (stream)
-- ARGV  1 session id   2 attempt   3 the item's id   4 the item as JSON   5 items kept
--       6 bytes kept   7 name of the event   8 its data   9 events kept per session
--      10 events kept in all   11 events kept in the outbox   12 what is unfinished now (keep.lua)

local left = redis.call("PTTL", KEYS[1])
if left == -2 or redis.call("HGET", KEYS[1], "attempt") ~= ARGV[2] then return end
begin(KEYS[3], ARGV[2], ARGV[12])
-- The connection broke after this was stored, and the item was sent again.
if redis.call("HGET", KEYS[3], "last_item") == ARGV[3] then return end

keep({KEYS[2], KEYS[3]}, {KEYS[4], KEYS[5], KEYS[6]}, {ARGV[9], ARGV[10], ARGV[11]},
  {ARGV[5], ARGV[6]}, ARGV[1], {ARGV[3], ARGV[4], ARGV[7], ARGV[8]}, left)
