-- Tell of the reports that are due: the job's last word was there at the session's end, or it did
-- not come in time. Behind tell.lua.
--
-- KEYS  1 assistant:reports (zset)   2 assistant:events (stream)   3 assistant:outbox (stream)
-- ARGV  1 now (Unix s)   2 how many at most   3 prefix of records' keys   4 name of the event
--       5 its data if a language model judged   6 its data otherwise   7 events kept per session
--       8 events kept in all   9 events kept in the outbox
-- Returns the ids.

local ids = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "LIMIT", 0, ARGV[2])
for _, id in ipairs(ids) do
  redis.call("ZREM", KEYS[1], id)
  local record = ARGV[3] .. id
  local left = redis.call("PTTL", record)
  if left ~= -2 and redis.call("HSETNX", record .. ":report", "ready", "1") == 1 then
    if left > 0 then redis.call("PEXPIRE", record .. ":report", left) end
    local judged = redis.call("HEXISTS", record .. ":report", "analysis") == 1
    tell({record .. ":events", KEYS[2], KEYS[3]}, {ARGV[7], ARGV[8], ARGV[9]}, id, ARGV[4],
      judged and ARGV[5] or ARGV[6], left)
  end
end
return ids
