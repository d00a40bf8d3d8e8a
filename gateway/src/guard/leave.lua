-- An attempt is over. KEYS and ARGV as when it began, and the outcome: right, wrong, or none.
-- Answers for how many milliseconds the address is banned. A failure during a ban changes nothing: it neither lengthens nor ends it.
redis.call('ZREM', KEYS[4], ARGV[1])
local ban = redis.call('PTTL', KEYS[2])
if ARGV[6] == 'right' then redis.call('SET', KEYS[1], '', 'EX', ARGV[4]) end
if ARGV[6] ~= 'wrong' or ban > 0 then return math.max(ban, 0) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[3]) < tonumber(ARGV[5]) then return 0 end
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
redis.call('DEL', KEYS[3])
return tonumber(ARGV[2])
