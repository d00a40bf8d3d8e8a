-- A credential that this gateway has not seen work from this address wants to be tried.
-- KEYS: worked, ban, failed, pending. ARGV: the attempt; in milliseconds how long a failure counts, and how long an attempt may take; in
-- seconds how long it is known what worked; how many failures are too many.
-- Answers {0, 0}: it may be tried; {1, 0}: it has worked from there; {2, left}: banned for so many milliseconds; {3, 0}: all places are taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXPIRE', KEYS[1], ARGV[4]) == 1 then return { 1, 0 } end
local ban = redis.call('PTTL', KEYS[2])
if ban > 0 then return { 2, ban } end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
if redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[5]) then return { 3, 0 } end
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return { 0, 0 }
