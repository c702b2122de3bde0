-- Deliver once more: behind whatever waits in its session, or now, if it waits for its next attempt.
--
-- KEYS  1 delivery:{id} (hash)   2 endpoint:{name}:due (zset)   3 endpoint:{name}:queue:{id} (list)
--       4 endpoint:{name}:pending (zset)   5 endpoint:{name}:dead (zset)
--       6 endpoint:{name}:delivered (zset)
-- ARGV  1 delivery id   2 session id   3 now (Unix s)   4 seconds to keep deliveries
-- Returns 0 if there is no such delivery.

local status = redis.call("HGET", KEYS[1], "status")
if not status then return 0 end
if status == "pending" then
  local next_at = redis.call("HGET", KEYS[1], "nextAt")
  local score = redis.call("ZSCORE", KEYS[2], ARGV[2])
  if next_at and score and tonumber(next_at) == tonumber(score) then
    redis.call("ZADD", KEYS[2], ARGV[3], ARGV[2])
  end
  return 1
end
redis.call("HSET", KEYS[1], "status", "pending", "since", ARGV[3])
redis.call("HDEL", KEYS[1], "nextAt", "finishedAt", "error")
redis.call("ZREM", KEYS[5], ARGV[1])
redis.call("ZREM", KEYS[6], ARGV[1])
redis.call("ZADD", KEYS[4], redis.call("HGET", KEYS[1], "score"), ARGV[1])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("ZADD", KEYS[2], "NX", ARGV[3], ARGV[2])
for i = 1, 4 do redis.call("EXPIRE", KEYS[i], ARGV[4]) end
return 1
