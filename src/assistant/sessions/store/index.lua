-- The index of stored sessions. Put in front of the scripts that change it.
--
-- `index` is the zset of all session ids by creation. Beside it:
--   {index}:status:{s}, {index}:agent:{a}, {index}:user:{u}   the same, of one kind (zsets)
--   {index}:live:{a}     an agent's sessions that are not over (zset)
--   {index}:labels       session id -> agent|user, by which it is found in those (hash)
--   {index}:agents       agents that have or had sessions (set)
--   {index}:expiring     session id by when its record expires (zset)

local INDEX_STATUSES = {"created", "queued", "dispatching", "active", "ending", "ended", "failed"}

local function keep_for(key, keep_s)
  -- Never shortened: other sessions that live longer are in there too.
  if redis.call("TTL", key) < tonumber(keep_s) then redis.call("EXPIRE", key, keep_s) end
end

local function leave_index(index, id)
  redis.call("ZREM", index, id)
  redis.call("ZREM", index .. ":expiring", id)
  for _, status in ipairs(INDEX_STATUSES) do redis.call("ZREM", index .. ":status:" .. status, id) end
  local labels = redis.call("HGET", index .. ":labels", id)
  if not labels then return end
  redis.call("HDEL", index .. ":labels", id)
  local agent, user = string.match(labels, "^(.*)|(.*)$")
  redis.call("ZREM", index .. ":agent:" .. agent, id)
  redis.call("ZREM", index .. ":live:" .. agent, id)
  redis.call("ZREM", index .. ":user:" .. user, id)
end

-- entry: status, live ("1": not over), agent, user, created (Unix s), expires (Unix s);
-- keep_s: seconds to keep what all sessions share
local function enter_index(index, id, entry, keep_s)
  local labels = entry.agent .. "|" .. entry.user
  local before = redis.call("HGET", index .. ":labels", id)
  if before and before ~= labels then leave_index(index, id) end
  redis.call("HSET", index .. ":labels", id, labels)
  redis.call("SADD", index .. ":agents", entry.agent)
  redis.call("ZADD", index .. ":expiring", entry.expires, id)
  local by_creation = {
    index, index .. ":status:" .. entry.status,
    index .. ":agent:" .. entry.agent, index .. ":user:" .. entry.user,
  }
  local live = index .. ":live:" .. entry.agent
  if entry.live == "1" then by_creation[5] = live else redis.call("ZREM", live, id) end
  for _, key in ipairs(by_creation) do
    redis.call("ZADD", key, entry.created, id)
    keep_for(key, keep_s)
  end
  for _, status in ipairs(INDEX_STATUSES) do
    if status ~= entry.status then redis.call("ZREM", index .. ":status:" .. status, id) end
  end
  for _, name in ipairs({":labels", ":agents", ":expiring"}) do keep_for(index .. name, keep_s) end
end

-- Drop up to `most` sessions whose record has expired; `record`: prefix of records' keys.
local function clean_index(index, now, most, record)
  local gone = redis.call("ZRANGEBYSCORE", index .. ":expiring", "-inf", now, "LIMIT", 0, most)
  for _, id in ipairs(gone) do
    local left = redis.call("PTTL", record .. id)
    if left == -2 then
      leave_index(index, id)
    else
      redis.call("ZADD", index .. ":expiring", tonumber(now) + math.max(left, 1000) / 1000, id)
    end
  end
end
