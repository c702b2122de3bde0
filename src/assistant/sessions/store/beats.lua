-- The workers that beat, in one step; those whose beat has expired are forgotten.
--
-- KEYS  1 assistant:workers (set)   ARGV  1 prefix of the beats' keys
-- Returns of each worker its id, its beat, and the milliseconds until that expires.

local found = {}
for _, id in ipairs(redis.call("SMEMBERS", KEYS[1])) do
  local beat = redis.call("GET", ARGV[1] .. id)
  if beat then
    found[#found + 1] = {id, beat, redis.call("PTTL", ARGV[1] .. id)}
  else
    redis.call("SREM", KEYS[1], id)
  end
end
return found
