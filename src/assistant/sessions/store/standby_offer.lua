-- A job says that it stands by; it has to say so again before its word runs out. While its worker
-- does not beat it waits unlisted: a session that it got would be taken for lost.
--
-- KEYS  1 assistant:standby (zset)   2 assistant:standby:since (zset)   3 standby:{id}
--       4 worker:{id}
-- ARGV  1 id   2 seconds until its word runs out   3 seconds to keep the sets
-- Returns 1 where it goes on waiting, 0 where its time has come: standby:{id} says for what.

if redis.call("EXISTS", KEYS[3]) == 1 then
  return 0
end
if redis.call("EXISTS", KEYS[4]) == 0 then
  redis.call("ZREM", KEYS[1], ARGV[1])
  redis.call("ZREM", KEYS[2], ARGV[1])
  return 1
end
local time = redis.call("TIME")
local now = time[1] + time[2] / 1e6
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
redis.call("ZADD", KEYS[2], "NX", now, ARGV[1])
redis.call("EXPIRE", KEYS[1], ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3])
return 1
