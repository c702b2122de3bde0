-- Put off a session's next check, unless somebody asked for a check meanwhile.
--
-- KEYS  1 assistant:due (zset)   2 session:{id} (hash)
-- ARGV  1 session id   2 next check (Unix s)   3 the version that was read
--       4 until when the caller held the session (its score then), "": it did not

if redis.call("HGET", KEYS[2], "version") ~= ARGV[3] then return end
if ARGV[4] ~= "" then
  local due = redis.call("ZSCORE", KEYS[1], ARGV[1])
  if due and tonumber(due) ~= tonumber(ARGV[4]) then return end
end
redis.call("ZADD", KEYS[1], ARGV[2], ARGV[1])
