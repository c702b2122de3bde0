-- A job says that it stands by; it has to say so again before its word runs out. While its worker
-- does not beat it waits unlisted: a session that it got would be taken for lost.
--
-- KEYS  1 assistant:standby (zset)   2 standby:{id}   3 worker:{id}
-- ARGV  1 id   2 seconds until its word runs out   3 seconds to keep the set
-- Returns 1 where it goes on waiting, 0 where its time has come: standby:{id} says for what.

if redis.call("EXISTS", KEYS[2]) == 1 then
  return 0
end
if redis.call("EXISTS", KEYS[3]) == 0 then
  redis.call("ZREM", KEYS[1], ARGV[1])
  return 1
end
local time = redis.call("TIME")
redis.call("ZADD", KEYS[1], time[1] + time[2] / 1e6 + ARGV[2], ARGV[1])
redis.call("EXPIRE", KEYS[1], ARGV[3])
return 1
