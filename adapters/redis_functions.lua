#!lua name=mangaassist_3
-- The steps that Redis does in one go. A change of behaviour needs a new library name and new
-- function names, since two releases share one server while a deployment rolls.

local HEADER_BYTES = 52
local MAGIC = 'MAA2'

local function u16(text, at)
  local low, high = string.byte(text, at, at + 1)
  return low + high * 256
end

-- Versions are milliseconds since 1970, far below 2^53.
local function version_of(stored)
  if not stored or #stored < HEADER_BYTES or string.sub(stored, 1, 4) ~= MAGIC then return -1 end
  local version = 0
  for at = 16, 9, -1 do version = version * 256 + string.byte(stored, at) end
  return version
end

local function get_string(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'string' then return value end
  return false
end

-- What a command says in place of a result, or false.
local function fault_of(result)
  return type(result) == 'table' and result.err or false
end

-- Whether somebody else owns the session. An owner of a wrong type is no owner.
local function is_foreign(key, who)
  local owner = redis.pcall('GET', key)
  if type(owner) ~= 'string' then return false, true end
  return owner ~= who, false
end

-- Which of two answers there is: 1 the answer, 2 the fallback, 3 nothing. A question without an
-- answer of its own names the fallback twice. Adds to `spoilt` the keys that hold no string.
local function pick(answer_key, fallback_key, spoilt)
  for found = answer_key == fallback_key and 2 or 1, 2 do
    local key = found == 1 and answer_key or fallback_key
    local value = redis.pcall('GET', key)
    if type(value) == 'string' then return found, value end
    if fault_of(value) then spoilt[#spoilt + 1] = key end
  end
  return 3, false
end

-- The plain case is short; otherwise the reply says also why the event was not written ('' if it
-- was), and then each spoilt key.
local function reply_of(found, answer, unwritten, spoilt)
  if unwritten == '' and #spoilt == 0 then return answer and {found, answer} or {found} end
  return {found, answer, unwritten, unpack(spoilt)}
end

-- The request path's one round trip.
-- KEYS: answer, fallback answer, owner of the session, outbox
-- ARGV: owner, seconds an owner is remembered at the least, event
-- Returns {0} for another user's session, else what `reply_of` says.
local function serve(keys, args)
  local foreign, unclaimed = is_foreign(keys[3], args[1])
  if foreign then return {0} end
  -- Claimed here; renewed by the worker that stores the turn.
  if unclaimed then redis.call('SET', keys[3], args[1], 'EX', args[2]) end
  local spoilt = {}
  local found, answer = pick(keys[1], keys[2], spoilt)
  local written
  if answer then
    local head = ''
    if #answer >= HEADER_BYTES then
      head = string.sub(answer, 1, HEADER_BYTES + u16(answer, 7))
    end
    written = redis.pcall('XADD', keys[4], '*', 'e', args[3], 'f', found, 'h', head)
  else
    written = redis.pcall('XADD', keys[4], '*', 'e', args[3])
  end
  return reply_of(found, answer, fault_of(written) or '', spoilt)
end

-- The same, and tells whether the question is the first of its session: of one that is not it returns
-- {4}, and then what `serve` does; for the fallback alone where the answer is one to first questions.
-- ARGV: as above, and 'require' for such an answer
local function serve_first(keys, args)
  if redis.call('EXISTS', keys[3]) == 0 then return serve(keys, args) end
  local answer = args[4] == 'require' and keys[2] or keys[1]
  local reply = serve({answer, keys[2], keys[3], keys[4]}, args)
  if reply[1] == 0 then return reply end
  return {4, unpack(reply)}
end

-- The same as `serve` without writing anything, for a server that takes no writes.
-- KEYS: answer, fallback answer, owner of the session; ARGV: owner, why the event is not written
local function read(keys, args)
  if is_foreign(keys[3], args[1]) then return {0} end
  local spoilt = {}
  local found, answer = pick(keys[1], keys[2], spoilt)
  return reply_of(found, answer, args[2], spoilt)
end

-- Deletes an answer that was found damaged, unless it was replaced since, and puts back the one
-- that was published or else has it made anew. Repeated or at the same time, it is done once.
-- KEYS: answer, outbox
-- ARGV: its kind, the damaged bytes ('' for a key of a wrong type), the event that says so
-- Returns 0 if there was nothing to do, 1 if it will be made anew, 2 if it was put back.
local function mend(keys, args)
  local value = redis.pcall('GET', keys[1])
  if not value or (not fault_of(value) and value ~= args[2]) then return 0 end
  redis.call('DEL', keys[1])
  local set = 'answer_set:' .. args[1]
  local version = redis.pcall('HGET', set, 'version')
  if type(version) == 'string' then
    local kept = redis.pcall('HGET', 'answer_archive:' .. args[1] .. ':' .. version, keys[1])
    local seconds = redis.call('TTL', set)
    if type(kept) == 'string' and kept ~= args[2] and seconds > 0 then
      redis.call('SET', keys[1], kept, 'EX', seconds)
      return 2
    end
  end
  redis.pcall('XADD', keys[2], '*', 'e', args[3])
  return 1
end

-- Deletes a key of another type, which would refuse every write; 1 if it did. What it should have
-- held is lost before: it goes on from nothing.
local function clear_unless(kind, key)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return 0 end
  return redis.call('DEL', key)
end

-- Counts interactions for trending, each event id once. A bucket is cleared of what is damaged
-- before an id is marked: a mark without its count would make the next try a duplicate.
-- ARGV: half-life, window, bucket, now (seconds), then id, item, weight, time for each
-- Returns {applied, duplicates, expired}, and then how many keys were damaged if any was.
local function count(_, args)
  local half_life, window = tonumber(args[1]), tonumber(args[2])
  local bucket_seconds, now = tonumber(args[3]), tonumber(args[4])
  local kept_seconds = math.ceil(window + 2 * bucket_seconds)
  local applied, duplicates, expired, damaged, touched = 0, 0, 0, 0, {}
  for at = 5, #args, 4 do
    local id, item, weight, time = args[at], args[at + 1], args[at + 2], args[at + 3]
    local seconds = tonumber(time)
    local bucket = math.floor(seconds / bucket_seconds) * bucket_seconds
    local name = string.format('%d', bucket)
    if seconds >= now - window and not touched[name] then
      damaged = damaged + clear_unless('zset', 'trend:' .. name)
      damaged = damaged + clear_unless('list', 'trend_log:' .. name)
      touched[name] = true
    end
    if seconds < now - window then
      expired = expired + 1
    elseif redis.call('SET', 'trend_seen:' .. id, '', 'NX', 'EX', kept_seconds) then
      local grown = tonumber(weight) * 2 ^ ((seconds - bucket) / half_life)
      redis.call('ZINCRBY', 'trend:' .. name, string.format('%.17g', grown), item)
      redis.call('RPUSH', 'trend_log:' .. name, weight .. ' ' .. time .. ' ' .. item)
      applied = applied + 1
    else
      duplicates = duplicates + 1
    end
  end
  for name in pairs(touched) do
    redis.call('EXPIRE', 'trend:' .. name, kept_seconds)
    redis.call('EXPIRE', 'trend_log:' .. name, kept_seconds)
  end
  if damaged > 0 then return {applied, duplicates, expired, damaged} end
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

-- Publishes a set of answers under a newer version, all at once. One without answers is no version to
-- return to.
-- ARGV: kind, version, meta, hard seconds, versions kept, then key, answer for each
-- Returns 1, 2 where this version is published already, or 3 where a newer one is.
local function publish(_, args)
  local kind, version, meta, hard_seconds = args[1], args[2], args[3], args[4]
  local newest = redis.call('ZRANGE', 'answer_versions:' .. kind, -1, -1)[1]
  local current = redis.call('HGET', 'answer_set:' .. kind, 'version')
  local known = math.max(tonumber(current or -1), tonumber(newest or -1))
  if known > tonumber(version) then return 3 end
  if known == tonumber(version) then return 2 end
  local archive = 'answer_archive:' .. kind .. ':' .. version
  for at = 6, #args, 2 do redis.call('HSET', archive, args[at], args[at + 1]) end
  redis.call('HSET', archive .. ':meta', 'meta', meta, 'hard', hard_seconds)
  redis.call('EXPIRE', archive, hard_seconds)
  redis.call('EXPIRE', archive .. ':meta', hard_seconds)
  install(kind, version, meta, hard_seconds, archive)
  if #args > 5 then redis.call('ZADD', 'answer_versions:' .. kind, version, version) end
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
-- Returns 1, 2 where this version is there already, or 3 where a newer one is.
local function write(keys, args)
  local known = version_of(get_string(keys[1]))
  if known > tonumber(args[1]) then return 3 end
  if known == tonumber(args[1]) then return 2 end
  redis.call('SET', keys[1], args[3], 'EX', args[2])
  return 1
end

-- The response cache: `response:<hash>` is a response, `response_lease:<hash>` who makes it anew, or
-- '!' while its computation fails, `response_retracted:<hash>` the fingerprints that failed a check.

local FINGERPRINT_AT = 32 -- bytes into the body of a stored response
local FINGERPRINT_BYTES = 16
local FAILING = '!'
local MAX_BANNED = 100 -- fingerprints that who makes a response is told of

local function fingerprint_of(stored)
  if version_of(stored) < 0 then return '' end
  local at = HEADER_BYTES + u16(stored, 7) + FINGERPRINT_AT
  return string.sub(stored, at + 1, at + FINGERPRINT_BYTES)
end

-- The response if there is one newer than the caller knows, else the right to make it.
-- KEYS: response, lease, tombstone
-- ARGV: the caller's token, milliseconds of a lease, the version known (-1 for none)
-- Returns {0, response}, {1} where the lease is the caller's now, and then the fingerprints of what
-- was retracted, {2} where it is another one's, or {3} where the computation has just failed. A
-- response of a wrong type is no response.
local function claim(keys, args)
  local stored = get_string(keys[1])
  if stored and version_of(stored) > tonumber(args[3]) then return {0, stored} end
  local holder = get_string(keys[2])
  if holder == FAILING then return {3} end
  if holder and holder ~= args[1] then return {2} end
  if not holder then redis.call('SET', keys[2], args[1], 'PX', args[2]) end
  local banned = redis.pcall('SRANDMEMBER', keys[3], MAX_BANNED)
  if fault_of(banned) then return {1} end
  return {1, unpack(banned)}
end

-- Gives a lease back, unless it expired and is somebody else's now.
-- KEYS: lease; ARGV: the caller's token, milliseconds in which nobody tries again (0 for none)
local function release(keys, args)
  if get_string(keys[1]) ~= args[1] then return 0 end
  if tonumber(args[2]) > 0 then
    redis.call('SET', keys[1], FAILING, 'PX', args[2])
  else
    redis.call('DEL', keys[1])
  end
  return 1
end

-- Makes a response, unless one at least as new is there or its content was retracted.
-- Returns 1, 2 where this version is there already (it then lasts as long as it should), 3 where a
-- newer one is, or 4 where the content was retracted.
local function keep(key, tombstone, version, milliseconds, stored)
  local banned = redis.pcall('SISMEMBER', tombstone, fingerprint_of(stored))
  if banned == 1 then return 4 end
  local known = version_of(get_string(key))
  if known > tonumber(version) then return 3 end
  if known == tonumber(version) then
    if redis.call('PTTL', key) < tonumber(milliseconds) then
      redis.call('PEXPIRE', key, milliseconds)
    end
    return 2
  end
  redis.call('SET', key, stored, 'PX', milliseconds)
  return 1
end

-- Gives a new response to those who wait for it, with the event that has it kept, and ends the lease.
-- KEYS: response, lease, tombstone, outbox
-- ARGV: token, version, milliseconds, response, event
-- Returns what `keep` does, then why the event was not written ('' if it was).
local function share(keys, args)
  local kept = keep(keys[1], keys[3], args[2], args[3], args[4])
  release({keys[2]}, {args[1], 0})
  local written = redis.pcall('XADD', keys[4], '*', 'e', args[5])
  return {kept, fault_of(written) or ''}
end

-- KEYS: response, tombstone; ARGV: version, milliseconds, response. Returns what `keep` does.
local function keep_response(keys, args)
  return keep(keys[1], keys[2], args[1], args[2], args[3])
end

-- Takes back a content: it goes where it is kept, and is not kept again for a while.
-- KEYS: response, tombstone; ARGV: fingerprint, seconds
-- Returns 1 if it was there.
local function retract(keys, args)
  redis.call('SADD', keys[2], args[1])
  redis.call('EXPIRE', keys[2], args[2])
  if fingerprint_of(get_string(keys[1])) ~= args[1] then return 0 end
  redis.call('DEL', keys[1])
  return 1
end

-- Deletes a response that was found damaged, unless it was replaced since.
-- KEYS: response; ARGV: the damaged bytes
local function drop(keys, args)
  if get_string(keys[1]) ~= args[1] then return 0 end
  redis.call('DEL', keys[1])
  return 1
end

-- Counts an answer to a similar question as right or wrong.
-- KEYS: tally; ARGV: 1 where it was wrong, seconds that a tally lasts
-- Returns {compared, wrong}.
local function tally(keys, args)
  local compared = redis.call('HINCRBY', keys[1], 'compared', 1)
  local wrong = redis.call('HINCRBY', keys[1], 'wrong', args[1])
  if compared == 1 then redis.call('EXPIRE', keys[1], args[2]) end
  return {compared, wrong}
end

redis.register_function('ma3_serve', serve)
redis.register_function('ma3_serve_first', serve_first)
redis.register_function{function_name = 'ma3_read', callback = read, flags = {'no-writes'}}
redis.register_function('ma3_mend', mend)
redis.register_function('ma3_count', count)
redis.register_function('ma3_publish', publish)
redis.register_function('ma3_roll_back', roll_back)
redis.register_function('ma3_write', write)
redis.register_function('ma3_response_claim', claim)
redis.register_function('ma3_response_release', release)
redis.register_function('ma3_response_share', share)
redis.register_function('ma3_response_keep', keep_response)
redis.register_function('ma3_response_retract', retract)
redis.register_function('ma3_response_drop', drop)
redis.register_function('ma3_response_tally', tally)
