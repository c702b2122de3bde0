-- Write down what an attempt has used so far, and add what is new of it to the totals. Put
-- behind count.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:report (hash)   3 assistant:totals (hash)
--       4 assistant:minute:{n} (hash)
-- ARGV  1 attempt   2 all it used so far, JSON   3 the same as {name: amount}, JSON
--       4 prefix of the totals   5 seconds to keep the minute's figures

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return end
local before = redis.call("HGET", KEYS[2], "counted:" .. ARGV[1])
local counted = before and cjson.decode(before) or {}
local agent = redis.call("HGET", KEYS[1], "agent") or ""
for name, amount in pairs(cjson.decode(ARGV[3])) do
  local new = amount - (counted[name] or 0)
  if new > 0 then
    count_up(KEYS[3], KEYS[4], ARGV[4] .. agent .. "|" .. name, string.format("%.9f", new))
    keep_minute(KEYS[4], ARGV[5])
  end
end
redis.call("HSET", KEYS[2], "usage:" .. ARGV[1], ARGV[2], "counted:" .. ARGV[1], ARGV[3])
if left > 0 then redis.call("PEXPIRE", KEYS[2], left) end
if redis.call("PTTL", KEYS[3]) < left then redis.call("PEXPIRE", KEYS[3], left) end
