-- End a request that was begun: keep its answer, or forget it, so that it may be repeated.
--
-- KEYS  1 assistant:idempotency:{hash} (hash)
-- ARGV  1 who began it   2 its answer, "": none is kept   3 seconds for which it is the answer

if redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then return end
if ARGV[2] == "" then
  redis.call("DEL", KEYS[1])
  return
end
local clock = redis.call("TIME")
redis.call("HSET", KEYS[1], "answer", ARGV[2],
  "until", string.format("%.6f", clock[1] + clock[2] / 1000000 + ARGV[3]))
