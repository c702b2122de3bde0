-- Give a job that stands by its session, or send it home; exactly one of that happens to each, and
-- an attempt is given to one job alone, however often it is asked for.
--
-- KEYS  1 assistant:standby (zset)   2 standby:given:{session}:{attempt}, where one is given
-- ARGV  1 id, or "" for whichever was heard last   2 the assignment, or "" to send it home
--       3 prefix of its keys   4 suffix of the key that wakes it
--       5 seconds to keep what it is to do   6 seconds to keep what wakes it, and what was given
-- Returns 1 if that came to pass; 0 where none stands by, or this one has its session already.

local id, given = ARGV[1], KEYS[2]
if given and redis.call("EXISTS", given) == 1 then
  return 1
end
if id == "" then
  local time = redis.call("TIME")
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", time[1] + time[2] / 1e6)
  id = redis.call("ZREVRANGE", KEYS[1], 0, 0)[1]
  if not id then
    return 0
  end
end
redis.call("ZREM", KEYS[1], id)
local key = ARGV[3] .. id
if not redis.call("SET", key, ARGV[2], "NX", "EX", ARGV[5]) then
  return 0
end
redis.call("RPUSH", key .. ARGV[4], "1")
redis.call("EXPIRE", key .. ARGV[4], ARGV[6])
if given then
  redis.call("SET", given, id, "EX", ARGV[6])
end
return 1
