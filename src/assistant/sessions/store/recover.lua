-- Keep, and tell of, what attempts up to this one were in the middle of when they ended, each
-- once, whoever asks first. Behind tell.lua and keep.lua.
--
-- KEYS  as item.lua
-- ARGV  1 session id   2 the last attempt   3 items kept   4 bytes kept   5 events kept per session
--       6 events kept in all   7 events kept in the outbox

local left = redis.call("PTTL", KEYS[1])
if left == -2 then return end
for attempt = 1, tonumber(ARGV[2]) do
  local field = "unfinished:" .. attempt
  local unfinished = redis.call("HGET", KEYS[3], field)
  if unfinished then
    redis.call("HDEL", KEYS[3], field)
    for _, said in ipairs(cjson.decode(unfinished)) do
      keep({KEYS[2], KEYS[3]}, {KEYS[4], KEYS[5], KEYS[6]}, {ARGV[5], ARGV[6], ARGV[7]},
        {ARGV[3], ARGV[4]}, ARGV[1], said, left)
    end
  end
end
