-- Count calls, and look at the sessions that they are about: many of both at once.
--
-- KEYS  of each call two: its counter (string), and session:{id} (hash); and in the end
--       assistant:slots (zset) and assistant:queue (zset)
-- ARGV  1 seconds to keep a counter   2.. fields of the record
-- Returns how many sessions hold or await a slot; then of each call what its counter has come to,
-- followed by the fields' values.

local found = {redis.call("ZCARD", KEYS[#KEYS - 1]) + redis.call("ZCARD", KEYS[#KEYS])}
for i = 1, #KEYS - 2, 2 do
  local count = redis.call("INCR", KEYS[i])
  if count == 1 then redis.call("EXPIRE", KEYS[i], ARGV[1]) end
  local row = redis.call("HMGET", KEYS[i + 1], unpack(ARGV, 2))
  table.insert(row, 1, count)
  found[#found + 1] = row
end
return found
