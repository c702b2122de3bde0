-- Change one session: its record, its events, its next check, its slot and its place in the queue,
-- in one step, if nobody else changed it since it was read. Put behind count.lua and index.lua.
--
-- KEYS  1 session:{id} (hash)   2 session:{id}:events (stream)   3 assistant:events (stream)
--       4 assistant:due (zset)  5 assistant:slots (zset)         6 assistant:queue (zset)
--       7 assistant:outbox (stream, written to only if somebody reads it)
--       8 session:{id}:items (list)     9 assistant:sessions (zset; see index.lua)
--      10 agent:{id}:pid (string)      11 session:{id}:logs (list)
--      12 assistant:holds (list)       13 assistant:totals (hash)
--      14 session:{id}:report (hash)   15 assistant:reports (zset)
--      16 session:{id}:commands (stream)   17 session:{id}:control (hash)
-- ARGV  1 session id            2 expected version, 0: must not exist yet
--       3 record as JSON object of strings (a field that is absent is removed)
--       4 events as JSON array of {name, data}
--       5 next check (Unix s)   6 now (Unix s)
--       7 "1": holds a slot     8 slots in all
--       9 "1": waits in the queue   10 places in the queue
--      11 seconds to keep the record   12 events kept per session   13 events kept in all
--      14 seconds to keep what all sessions share   15 events kept in the outbox
--      16 JSON object: `entry` for the index (see index.lua); `pid` of the active agent, "": none;
--         `lines` for the log; `tally`, what the change adds to the totals, and to the figures of
--         the minute, `minute` (assistant:minute:{n}, a hash), which are kept for `minute_s`;
--         `behind`, when to look at it where it comes to wait behind others (Unix s), if not ARGV 5
--      17 lines kept in the log   18 holds kept   19 expired sessions to drop from the index
--      20 prefix of records' keys
--      21 seconds after the end until the report is made without its job's last word
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
-- Written by note.lua, and no part of the record.
local talking = redis.call("HGET", KEYS[1], "talking")
if talking then
  flat[#flat + 1] = "talking"
  flat[#flat + 1] = talking
end
local was_active = redis.call("HEXISTS", KEYS[1], "activeAt") == 1
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], unpack(flat))

local function tell(name, data)
  local entry = redis.call("XADD", KEYS[2], "MAXLEN", "~", ARGV[12], "*",
    "name", name, "data", data)
  local event = redis.call("XADD", KEYS[3], "MAXLEN", "~", ARGV[13], "*",
    "session", id, "name", name, "data", data, "entry", entry)
  redis.call("XADD", KEYS[7], "NOMKSTREAM", "MAXLEN", "~", ARGV[15], "*",
    "session", id, "name", name, "data", data, "event", event)
end

for _, event in ipairs(cjson.decode(ARGV[4])) do
  if event.name == "session.ended" and fields.reason then
    event.data = string.sub(event.data, 1, -2) .. ',"reason":' .. cjson.encode(fields.reason) .. "}"
  end
  tell(event.name, event.data)
  if event.name == "agent.joined" and fields.activeAt and not was_active then
    tell("session.active", '{"at":' .. fields.activeAt .. "}")
    was_active = true
  end
end

local more = cjson.decode(ARGV[16])
local check = ARGV[5]
if more.behind and ARGV[9] == "1" and not place and redis.call("ZCARD", KEYS[6]) > 0 then
  -- The one before it wakes it.
  check = more.behind
end
-- LT: a check that somebody asked for sooner stays.
redis.call("ZADD", KEYS[4], "LT", check, id)
local slots_taken, places_taken = 0, 0
if ARGV[7] == "1" then
  if not had_slot then
    redis.call("ZADD", KEYS[5], ARGV[6], id)
    slots_taken = 1
  end
elseif had_slot then
  redis.call("ZREM", KEYS[5], id)
  slots_taken = -1
  redis.call("LPUSH", KEYS[12], string.format("%.3f", math.max(ARGV[6] - had_slot, 0)))
  redis.call("LTRIM", KEYS[12], 0, ARGV[18] - 1)
end
if ARGV[9] == "1" then
  if not place then
    -- The order of coming is the order here, whatever the writers' clocks say.
    local last = redis.call("ZRANGE", KEYS[6], -1, -1, "WITHSCORES")[2]
    local at = tonumber(ARGV[6])
    if last and tonumber(last) >= at then at = tonumber(last) + 0.00001 end
    redis.call("ZADD", KEYS[6], string.format("%.6f", at), id)
    places_taken = 1
  end
elseif place then
  redis.call("ZREM", KEYS[6], id)
  places_taken = -1
end
-- A free slot belongs to whoever waits longest, at once. Whoever leaves the queue wakes the next
-- one, so that several slots that come free together wake several sessions.
if (had_slot and ARGV[7] ~= "1") or (place and ARGV[9] ~= "1") then
  local first = redis.call("ZRANGE", KEYS[6], 0, 0)[1]
  if first then redis.call("ZADD", KEYS[4], ARGV[6], first) end
end

-- Of an agent that was in the room a last word is expected, unless it was said already.
if (fields.status == "ended" or fields.status == "failed") and fields.attempt ~= "0" then
  local said = redis.call("HEXISTS", KEYS[14], "done") == 1 or not fields.activeAt
  redis.call("ZADD", KEYS[15], "NX", said and ARGV[6] or ARGV[6] + ARGV[21], id)
end

enter_index(KEYS[9], id, more.entry, ARGV[14])
clean_index(KEYS[9], ARGV[6], ARGV[19], ARGV[20])
for name, amount in pairs(more.tally) do count_up(KEYS[13], more.minute, name, amount) end
note_load(more.minute, KEYS[5], KEYS[6], slots_taken, places_taken)
keep_minute(more.minute, more.minute_s)
if more.pid ~= "" then
  redis.call("SET", KEYS[10], more.pid, "EX", ARGV[11])
else
  redis.call("DEL", KEYS[10])
end
for _, line in ipairs(more.lines) do redis.call("RPUSH", KEYS[11], line) end
redis.call("LTRIM", KEYS[11], -ARGV[17], -1)

-- What a backend said of a conversation is for its agents alone, and there will be none any more.
if fields.status == "ended" or fields.status == "failed" then
  redis.call("DEL", KEYS[16], KEYS[17])
end

for _, i in ipairs({1, 2, 8, 11, 14, 16, 17}) do redis.call("EXPIRE", KEYS[i], ARGV[11]) end
for _, i in ipairs({3, 4, 5, 6, 12, 13, 15}) do keep_for(KEYS[i], ARGV[14]) end
return version + 1
