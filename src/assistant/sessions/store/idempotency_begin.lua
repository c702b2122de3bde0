-- Begin a request that may be a repetition. The clock is Redis's own.
--
-- KEYS  1 assistant:idempotency:{hash} (hash)
-- ARGV  1 digest of the request   2 who asks   3 seconds until a request counts as dead
--       4 seconds to keep the key
-- Returns {"begin"}, {"replay", answer}, {"in_flight", seconds}, or {"mismatch"}.

local clock = redis.call("TIME")
local now = clock[1] + clock[2] / 1000000
local stored = redis.call("HMGET", KEYS[1], "digest", "owner", "until", "answer")
if stored[1] then
  if stored[1] ~= ARGV[1] then return {"mismatch"} end
  local left = stored[3] - now
  if left > 0 then
    if stored[4] then return {"replay", stored[4]} end
    -- The client repeats a command whose answer was lost.
    if stored[2] ~= ARGV[2] then return {"in_flight", tostring(left)} end
  end
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "digest", ARGV[1], "owner", ARGV[2],
  "until", string.format("%.6f", now + ARGV[3]))
redis.call("EXPIRE", KEYS[1], ARGV[4])
return {"begin"}
