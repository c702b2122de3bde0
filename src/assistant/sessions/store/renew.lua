-- Hold a session for longer, unless somebody asked for a check meanwhile.
--
-- KEYS  1 assistant:due (zset)
-- ARGV  1 session id   2 until when the caller held it (its score then)   3 until when it will
-- Returns 1 if it is held now, 0 if not.

local due = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not due or tonumber(due) ~= tonumber(ARGV[2]) then return 0 end
redis.call("ZADD", KEYS[1], "XX", ARGV[3], ARGV[1])
return 1
