-- Claim the sessions whose next check has come: each is handed to one caller, and becomes due
-- again by itself if that caller dies.
--
-- KEYS  1 assistant:due (zset)
-- ARGV  1 now (Unix s)   2 when a claimed session becomes due again (Unix s)   3 how many at most
-- Returns the claimed ids.

local ids = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "LIMIT", 0, ARGV[3])
for _, id in ipairs(ids) do
  redis.call("ZADD", KEYS[1], "XX", ARGV[2], id)
end
return ids
