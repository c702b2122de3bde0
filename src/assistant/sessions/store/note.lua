-- Add an event to a session's timeline that does not change its record, if there is a record.
-- Put behind tell.lua and count.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:events (stream)   3 assistant:events (stream)
--       4 assistant:outbox (stream)   5 assistant:totals (hash)   6 assistant:minute:{n} (hash)
-- ARGV  1 session id   2 name   3 data   4 events kept per session   5 events kept in all
--       6 events kept in the outbox
--       7 JSON object: what the event adds to the totals of the session's agent (see tally.py)
--       8 prefix of those totals   9 seconds to keep the minute's figures
--      10 agent that has the conversation from now on, "": as before

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return end
tell({KEYS[2], KEYS[3], KEYS[4]}, {ARGV[4], ARGV[5], ARGV[6]}, ARGV[1], ARGV[2], ARGV[3], left)
if ARGV[10] ~= "" then redis.call("HSET", KEYS[1], "talking", ARGV[10]) end
if ARGV[7] == "{}" then return end
local agent = redis.call("HGET", KEYS[1], "agent") or ""
for name, amount in pairs(cjson.decode(ARGV[7])) do
  count_up(KEYS[5], KEYS[6], ARGV[8] .. agent .. "|" .. name, amount)
end
keep_minute(KEYS[6], ARGV[9])
if redis.call("PTTL", KEYS[5]) < left then redis.call("PEXPIRE", KEYS[5], left) end
