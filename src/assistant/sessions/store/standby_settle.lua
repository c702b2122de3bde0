-- Give a job that stands by its session, or send it home; exactly one of that happens to each, and
-- an attempt is given to one job alone, however often it is asked for.
--
-- KEYS  1 assistant:standby (zset)   2 assistant:standby:since (zset)
--       3 standby:given:{session}:{attempt}, where one is given
-- ARGV  1 id, or "" for whichever has waited longest   2 the assignment, or "" to send it home
--       3 prefix of its keys   4 suffix of the key that wakes it
--       5 seconds to keep what it is to do   6 seconds to keep what wakes it, and what was given
--       7 whose word runs out within so many seconds is frozen, maybe: others come first
-- Returns 1 if that came to pass; 0 where none stands by, or this one has its session already.
--
-- The one that has waited longest, because so the workers take turns. The one that spoke last would
-- be of the same worker again and again: they speak once a second, always in the same order.

local function forget(id)
  redis.call("ZREM", KEYS[1], id)
  redis.call("ZREM", KEYS[2], id)
end

local function next_in_turn()
  local time = redis.call("TIME")
  local now = time[1] + time[2] / 1e6
  for _, lapsed in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now)) do
    forget(lapsed)
  end
  local maybe_frozen = nil
  for _, waiting in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do
    local word_ends = redis.call("ZSCORE", KEYS[1], waiting)
    if word_ends and tonumber(word_ends) - now > tonumber(ARGV[7]) then
      return waiting
    end
    maybe_frozen = maybe_frozen or (word_ends and waiting) or nil
  end
  return maybe_frozen
end

local id, given = ARGV[1], KEYS[3]
if given and redis.call("EXISTS", given) == 1 then
  return 1
end
if id == "" then
  id = next_in_turn()
  if not id then
    return 0
  end
end
forget(id)
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
