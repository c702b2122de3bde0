-- Write down what an attempt is in the middle of, if it holds the session. Behind keep.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:report (hash)
-- ARGV  1 attempt   2 what is unfinished now (keep.lua)

local left = redis.call("PTTL", KEYS[1])
if left == -2 or redis.call("HGET", KEYS[1], "attempt") ~= ARGV[1] then return end
begin(KEYS[2], ARGV[1], ARGV[2])
if left > 0 then redis.call("PEXPIRE", KEYS[2], left) end
