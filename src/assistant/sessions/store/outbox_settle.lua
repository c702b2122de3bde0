-- Write down what became of an attempt to deliver, and whose turn it is then.
--
-- KEYS  1 delivery:{id} (hash)   2 endpoint:{name}:due (zset)   3 endpoint:{name}:queue:{id} (list)
--       4 endpoint:{name}:pending (zset)   5 endpoint:{name}:{delivered or dead} (zset)
--       6 assistant:deliveries (string): whoever watches learns by it that something became of one
-- ARGV  1 delivery id   2 session id   3 until when the caller held the session (its score then)
--       4 "delivered", "dead", or "pending": to be tried again   5 next attempt (Unix s)
--       6 attempts so far   7 their log (JSON)   8 now (Unix s)   9 seconds to keep deliveries
--      10 deliveries listed per endpoint and status   11 prefix of deliveries' keys

redis.call("INCR", KEYS[6])
redis.call("EXPIRE", KEYS[6], ARGV[9])
local score = redis.call("ZSCORE", KEYS[2], ARGV[2])
-- Whoever held it too long is no longer the one who decides when the next attempt comes.
local held = score and tonumber(score) == tonumber(ARGV[3])
if redis.call("HGET", KEYS[1], "status") ~= "pending" then
  if held then redis.call("ZADD", KEYS[2], ARGV[8], ARGV[2]) end
  return
end
redis.call("HSET", KEYS[1], "attempts", ARGV[6], "log", ARGV[7])
if ARGV[4] == "pending" then
  if held then
    redis.call("HSET", KEYS[1], "nextAt", ARGV[5])
    redis.call("ZADD", KEYS[2], ARGV[5], ARGV[2])
  end
  return
end
redis.call("HDEL", KEYS[1], "nextAt")
redis.call("HSET", KEYS[1], "status", ARGV[4], "finishedAt", ARGV[8])
redis.call("EXPIRE", KEYS[1], ARGV[9])
redis.call("LREM", KEYS[3], 1, ARGV[1])
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("ZADD", KEYS[5], redis.call("HGET", KEYS[1], "score"), ARGV[1])
redis.call("EXPIRE", KEYS[5], ARGV[9])
local extra = redis.call("ZCARD", KEYS[5]) - tonumber(ARGV[10])
if extra > 0 then
  for _, old in ipairs(redis.call("ZRANGE", KEYS[5], 0, extra - 1)) do
    redis.call("ZREM", KEYS[5], old)
    redis.call("DEL", ARGV[11] .. old)
  end
end
if held or not score then
  if redis.call("EXISTS", KEYS[3]) == 1 then
    redis.call("ZADD", KEYS[2], ARGV[8], ARGV[2])
  else
    redis.call("ZREM", KEYS[2], ARGV[2])
  end
end
