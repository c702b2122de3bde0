-- Keep something that was said, for the agent that may have to go on with the conversation; only
-- while the session lives, and only from the attempt that holds it.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:items (list)
-- ARGV  1 attempt   2 the item as JSON   3 items kept

local record = redis.call("HMGET", KEYS[1], "attempt", "status")
if record[1] ~= ARGV[1] then return end
if record[2] ~= "dispatching" and record[2] ~= "active" then return end
redis.call("RPUSH", KEYS[2], ARGV[2])
redis.call("LTRIM", KEYS[2], -tonumber(ARGV[3]), -1)
local left = redis.call("PTTL", KEYS[1])
if left > 0 then redis.call("PEXPIRE", KEYS[2], left) end
