-- Add an event to a session's timeline that does not change its record, if there is a record.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:events (stream)   3 assistant:events (stream)
--       4 assistant:outbox (stream, written to only if somebody reads it)
-- ARGV  1 session id   2 name   3 data   4 events kept per session   5 events kept in all
--       6 events kept in the outbox

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return end
local entry = redis.call("XADD", KEYS[2], "MAXLEN", "~", ARGV[4], "*",
  "name", ARGV[2], "data", ARGV[3])
if left > 0 then redis.call("PEXPIRE", KEYS[2], left) end
local event = redis.call("XADD", KEYS[3], "MAXLEN", "~", ARGV[5], "*",
  "session", ARGV[1], "name", ARGV[2], "data", ARGV[3], "entry", entry)
redis.call("XADD", KEYS[4], "NOMKSTREAM", "MAXLEN", "~", ARGV[6], "*",
  "session", ARGV[1], "name", ARGV[2], "data", ARGV[3], "event", event)
if redis.call("PTTL", KEYS[3]) < left then redis.call("PEXPIRE", KEYS[3], left) end
