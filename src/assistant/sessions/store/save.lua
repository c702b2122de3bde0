-- Change one session: its record, its events, its next check, its slot and its place in the queue,
-- in one step, if nobody else changed it since it was read.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:events (stream)   3 assistant:events (stream)
--       4 assistant:due (zset)  5 assistant:slots (zset)         6 assistant:queue (zset)
-- ARGV  1 session id            2 expected version, 0: must not exist yet
--       3 record as JSON object of strings (a field that is absent is removed)
--       4 events as JSON array of {name, data}
--       5 next check (Unix s)   6 now (Unix s)
--       7 "1": holds a slot     8 slots in all
--       9 "1": waits in the queue   10 places in the queue
--      11 seconds to keep the record   12 events kept per session   13 events kept in all
--      14 seconds to keep what all sessions share
-- Returns the new version, or one of "exists", "conflict", "full", "queue_full".

local version = tonumber(redis.call("HGET", KEYS[1], "version") or "0")
local expected = tonumber(ARGV[2])
if version ~= expected then
  if expected == 0 then return "exists" end
  return "conflict"
end

local id = ARGV[1]
local had_slot = redis.call("ZSCORE", KEYS[5], id)
local place = redis.call("ZRANK", KEYS[6], id)
if ARGV[7] == "1" and not had_slot then
  -- First come, first served: whoever waits before this session goes first.
  local before = place or redis.call("ZCARD", KEYS[6])
  if redis.call("ZCARD", KEYS[5]) + before >= tonumber(ARGV[8]) then return "full" end
end
if ARGV[9] == "1" and not place then
  if redis.call("ZCARD", KEYS[6]) >= tonumber(ARGV[10]) then return "queue_full" end
end

local fields = cjson.decode(ARGV[3])
local flat = {"version", tostring(version + 1)}
for name, value in pairs(fields) do
  flat[#flat + 1] = name
  flat[#flat + 1] = value
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], unpack(flat))

for _, event in ipairs(cjson.decode(ARGV[4])) do
  redis.call("XADD", KEYS[2], "MAXLEN", "~", ARGV[12], "*", "name", event.name, "data", event.data)
  redis.call("XADD", KEYS[3], "MAXLEN", "~", ARGV[13], "*",
    "session", id, "name", event.name, "data", event.data)
end

-- LT: a check that somebody asked for sooner stays.
redis.call("ZADD", KEYS[4], "LT", ARGV[5], id)
if ARGV[7] == "1" then
  if not had_slot then redis.call("ZADD", KEYS[5], ARGV[6], id) end
elseif had_slot then
  redis.call("ZREM", KEYS[5], id)
end
if ARGV[9] == "1" then
  if not place then
    -- The order of coming is the order here, whatever the writers' clocks say.
    local last = redis.call("ZRANGE", KEYS[6], -1, -1, "WITHSCORES")[2]
    local at = tonumber(ARGV[6])
    if last and tonumber(last) >= at then at = tonumber(last) + 0.00001 end
    redis.call("ZADD", KEYS[6], string.format("%.6f", at), id)
  end
elseif place then
  redis.call("ZREM", KEYS[6], id)
end
-- A free slot belongs to whoever waits longest, at once. Whoever leaves the queue wakes the next
-- one, so that several slots that come free together wake several sessions.
if (had_slot and ARGV[7] ~= "1") or (place and ARGV[9] ~= "1") then
  local first = redis.call("ZRANGE", KEYS[6], 0, 0)[1]
  if first then redis.call("ZADD", KEYS[4], ARGV[6], first) end
end

redis.call("EXPIRE", KEYS[1], ARGV[11])
redis.call("EXPIRE", KEYS[2], ARGV[11])
for i = 3, 6 do
  -- Never shortened: other sessions that live longer are in there too.
  if redis.call("TTL", KEYS[i]) < tonumber(ARGV[14]) then redis.call("EXPIRE", KEYS[i], ARGV[14]) end
end
return version + 1
