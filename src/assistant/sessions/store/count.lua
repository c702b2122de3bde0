-- Counting: what the totals hold since ever, and a minute's figures of that minute. Put in front of
-- the scripts that count. What they count with is in tally.py.

local function count_up(totals, minute, name, amount)
  redis.call("HINCRBYFLOAT", totals, name, amount)
  redis.call("HINCRBYFLOAT", minute, name, amount)
end

local function keep_minute(minute, keep_s)
  redis.call("EXPIRE", minute, keep_s, "NX")
end

-- The slots in use and the places taken in the queue, of which this step took so many more; what
-- they were before the minute's first change says how they stood in the minutes before it.
local function note_load(minute, slots, queue, slots_taken, places_taken)
  if slots_taken == 0 and places_taken == 0 then return end
  local used, waiting = redis.call("ZCARD", slots), redis.call("ZCARD", queue)
  redis.call("HSETNX", minute, "slots:before", used - slots_taken)
  redis.call("HSETNX", minute, "waiting:before", waiting - places_taken)
  redis.call("HSET", minute, "slots", used, "waiting", waiting)
end
