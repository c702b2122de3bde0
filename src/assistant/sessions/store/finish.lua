-- Keep what a job adds to its session's report. If nothing more comes of the attempt that holds
-- the session, the report is ready: now if the session is over, or with its end. Behind tell.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:report (hash)   3 session:{id}:events (stream)
--       4 assistant:events (stream)   5 assistant:outbox (stream)   6 assistant:reports (zset)
-- ARGV  1 session id   2 attempt   3 fields to keep, JSON object of strings   4 "1": the last word
--       5 name of the event   6 its data if a language model judged   7 its data otherwise
--       8 events kept per session   9 events kept in all   10 events kept in the outbox
-- Returns 0 if there is no such session any more.

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return 0 end
for name, value in pairs(cjson.decode(ARGV[3])) do redis.call("HSET", KEYS[2], name, value) end
if left > 0 then redis.call("PEXPIRE", KEYS[2], left) end
local record = redis.call("HMGET", KEYS[1], "attempt", "status")
if ARGV[4] ~= "1" or record[1] ~= ARGV[2] then return 1 end
if record[2] == "ending" then
  redis.call("HSET", KEYS[2], "done", "1")
elseif record[2] == "ended" or record[2] == "failed" then
  redis.call("ZREM", KEYS[6], ARGV[1])
  if redis.call("HSETNX", KEYS[2], "ready", "1") == 1 then
    local data = redis.call("HEXISTS", KEYS[2], "analysis") == 1 and ARGV[6] or ARGV[7]
    tell({KEYS[3], KEYS[4], KEYS[5]}, {ARGV[8], ARGV[9], ARGV[10]}, ARGV[1], ARGV[5], data, left)
  end
end
return 1
