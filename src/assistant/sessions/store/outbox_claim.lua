-- Claim sessions whose next delivery to one endpoint is due: each is handed to one caller, and
-- becomes due again by itself if that caller dies.
--
-- KEYS  1 endpoint:{name}:due (zset)   2 endpoint:{name}:pending (zset)
-- ARGV  1 now (Unix s)   2 when a claimed session becomes due again (Unix s)   3 how many at most
--       4 prefix of the endpoint's queues   5 prefix of deliveries' keys
-- Returns {session, delivery id, event, body, since, attempts, log} of each session's first one.

local found = {}
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "LIMIT", 0, ARGV[3])
for _, session in ipairs(due) do
  local queue = ARGV[4] .. session
  local id = redis.call("LINDEX", queue, 0)
  while id and redis.call("EXISTS", ARGV[5] .. id) == 0 do
    redis.call("LPOP", queue)
    redis.call("ZREM", KEYS[2], id)
    id = redis.call("LINDEX", queue, 0)
  end
  if id then
    redis.call("ZADD", KEYS[1], "XX", ARGV[2], session)
    local d = redis.call("HMGET", ARGV[5] .. id, "event", "body", "since", "attempts", "log")
    found[#found + 1] = {session, id, d[1], d[2], d[3], d[4], d[5]}
  else
    redis.call("ZREM", KEYS[1], session)
  end
end
return found
