-- Erase a session: its record, its events, its slot, its place in the queue and its next check.
--
-- KEYS  1 session:{id}   2 session:{id}:events   3 assistant:due   4 assistant:slots
--       5 assistant:queue
-- ARGV  1 session id   2 now (Unix s)   3 "1": only if its record is gone already

if ARGV[3] == "1" and redis.call("EXISTS", KEYS[1]) == 1 then return end
redis.call("DEL", KEYS[1], KEYS[2])
redis.call("ZREM", KEYS[3], ARGV[1])
local left = redis.call("ZREM", KEYS[4], ARGV[1]) + redis.call("ZREM", KEYS[5], ARGV[1])
if left > 0 then
  local first = redis.call("ZRANGE", KEYS[5], 0, 0)[1]
  if first then redis.call("ZADD", KEYS[3], ARGV[2], first) end
end
