#!lua name=mangaassist_1
-- The steps that Redis does in one go. A change of behaviour needs a new library name and new
-- function names, since two releases share one server while a deployment rolls.

local HEADER_BYTES = 48

local function u16(text, at)
  local low, high = string.byte(text, at, at + 1)
  return low + high * 256
end

-- Versions are milliseconds since 1970, far below 2^53.
local function version_of(stored)
  if not stored or #stored < HEADER_BYTES then return -1 end
  local version = 0
  for at = 16, 9, -1 do version = version * 256 + string.byte(stored, at) end
  return version
end

local function get_string(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'string' then return value end
  return false
end

-- The request path's one round trip.
-- KEYS: answer, fallback answer, owner of the session, outbox
-- ARGV: owner, seconds an owner is remembered at the least, event
-- Returns {0} for another user's session, else {1|2|3, answer}: found, fallback, nothing.
-- A question without an answer of its own names the fallback answer twice.
local function serve(keys, args)
  local owner = redis.call('GET', keys[3])
  if owner and owner ~= args[1] then return {0} end
  -- Claimed here; renewed by the worker that stores the turn.
  if not owner then redis.call('SET', keys[3], args[1], 'EX', args[2]) end
  local found, answer = keys[1] == keys[2] and 2 or 1, get_string(keys[1])
  if not answer then found, answer = 2, get_string(keys[2]) end
  if not answer then
    redis.call('XADD', keys[4], '*', 'e', args[3])
    return {3}
  end
  local head = ''
  if #answer >= HEADER_BYTES then
    head = string.sub(answer, 1, HEADER_BYTES + u16(answer, 7))
  end
  redis.call('XADD', keys[4], '*', 'e', args[3], 'f', found, 'h', head)
  return {found, answer}
end

-- Counts interactions for trending, each event id once.
-- ARGV: half-life, window, bucket, now (seconds), then id, item, weight, time for each
-- Returns {applied, duplicates, expired}.
local function count(_, args)
  local half_life, window = tonumber(args[1]), tonumber(args[2])
  local bucket_seconds, now = tonumber(args[3]), tonumber(args[4])
  local kept_seconds = math.ceil(window + 2 * bucket_seconds)
  local applied, duplicates, expired, touched = 0, 0, 0, {}
  for at = 5, #args, 4 do
    local id, item, weight, time = args[at], args[at + 1], args[at + 2], args[at + 3]
    local seconds = tonumber(time)
    if seconds < now - window then
      expired = expired + 1
    elseif redis.call('SET', 'trend_seen:' .. id, '', 'NX', 'EX', kept_seconds) then
      local bucket = math.floor(seconds / bucket_seconds) * bucket_seconds
      local grown = tonumber(weight) * 2 ^ ((seconds - bucket) / half_life)
      local name = string.format('%d', bucket)
      redis.call('ZINCRBY', 'trend:' .. name, string.format('%.17g', grown), item)
      redis.call('RPUSH', 'trend_log:' .. name, weight .. ' ' .. time .. ' ' .. item)
      touched[name] = true
      applied = applied + 1
    else
      duplicates = duplicates + 1
    end
  end
  for name in pairs(touched) do
    redis.call('EXPIRE', 'trend:' .. name, kept_seconds)
    redis.call('EXPIRE', 'trend_log:' .. name, kept_seconds)
  end
  return {applied, duplicates, expired}
end

local function install(kind, version, meta, hard_seconds, archive)
  local fields = redis.call('HGETALL', archive)
  local keep = {}
  for at = 1, #fields, 2 do
    redis.call('SET', fields[at], fields[at + 1], 'EX', hard_seconds)
    keep[fields[at]] = true
  end
  local current = redis.call('HGET', 'answer_set:' .. kind, 'version')
  if current and current ~= version then
    for _, key in ipairs(redis.call('HKEYS', 'answer_archive:' .. kind .. ':' .. current)) do
      if not keep[key] then redis.call('DEL', key) end
    end
  end
  redis.call('HSET', 'answer_set:' .. kind, 'version', version, 'meta', meta)
  redis.call('EXPIRE', 'answer_set:' .. kind, hard_seconds)
end

-- Publishes a set of answers under a newer version, all at once.
-- ARGV: kind, version, meta, hard seconds, versions kept, then key, answer for each
-- Returns 1, or 0 where a version at least as new is published.
local function publish(_, args)
  local kind, version, meta, hard_seconds = args[1], args[2], args[3], args[4]
  local newest = redis.call('ZRANGE', 'answer_versions:' .. kind, -1, -1)[1]
  local current = redis.call('HGET', 'answer_set:' .. kind, 'version')
  if current and tonumber(current) >= tonumber(version) then return 0 end
  if newest and tonumber(newest) >= tonumber(version) then return 0 end
  local archive = 'answer_archive:' .. kind .. ':' .. version
  for at = 6, #args, 2 do redis.call('HSET', archive, args[at], args[at + 1]) end
  redis.call('HSET', archive .. ':meta', 'meta', meta, 'hard', hard_seconds)
  redis.call('EXPIRE', archive, hard_seconds)
  redis.call('EXPIRE', archive .. ':meta', hard_seconds)
  install(kind, version, meta, hard_seconds, archive)
  redis.call('ZADD', 'answer_versions:' .. kind, version, version)
  redis.call('EXPIRE', 'answer_versions:' .. kind, hard_seconds)
  local surplus = redis.call('ZRANGE', 'answer_versions:' .. kind, 0, -1 - tonumber(args[5]))
  for _, old in ipairs(surplus) do
    redis.call('DEL', 'answer_archive:' .. kind .. ':' .. old)
    redis.call('DEL', 'answer_archive:' .. kind .. ':' .. old .. ':meta')
    redis.call('ZREM', 'answer_versions:' .. kind, old)
  end
  return 1
end

-- Serves the version before the current one again and forgets the current one.
-- ARGV: kind, hold seconds, the version to leave
-- Returns the meta of what is served now, or false where there is no version before. A call whose
-- reply was lost may be repeated: what is left already is not left again.
local function roll_back(_, args)
  local kind = args[1]
  local current = redis.call('HGET', 'answer_set:' .. kind, 'version')
  if not current then return false end
  if current ~= args[3] then return redis.call('HGET', 'answer_set:' .. kind, 'meta') end
  local before = redis.call(
    'ZRANGE', 'answer_versions:' .. kind, '(' .. current, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1)[1]
  if not before then return false end
  local archive = 'answer_archive:' .. kind .. ':' .. before
  local meta = redis.call('HGET', archive .. ':meta', 'meta')
  if not meta or redis.call('EXISTS', archive) == 0 then return false end
  install(kind, before, meta, redis.call('HGET', archive .. ':meta', 'hard'), archive)
  redis.call('DEL', 'answer_archive:' .. kind .. ':' .. current)
  redis.call('DEL', 'answer_archive:' .. kind .. ':' .. current .. ':meta')
  redis.call('ZREM', 'answer_versions:' .. kind, current)
  redis.call('SET', 'answer_hold:' .. kind, current, 'EX', args[2])
  return meta
end

-- Writes one answer unless one at least as new is there.
-- KEYS: answer; ARGV: version, seconds, answer
local function write(keys, args)
  if version_of(get_string(keys[1])) >= tonumber(args[1]) then return 0 end
  redis.call('SET', keys[1], args[3], 'EX', args[2])
  return 1
end

redis.register_function('ma1_serve', serve)
redis.register_function('ma1_count', count)
redis.register_function('ma1_publish', publish)
redis.register_function('ma1_roll_back', roll_back)
redis.register_function('ma1_write', write)
