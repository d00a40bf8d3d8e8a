-- Counts a call in all its windows, or in none. KEYS: the windows. ARGV: the cost; then seconds and limit of each window.
-- Answers: the time in seconds and microseconds, the first window with not enough left (0: none), and what each has used.
-- A limit below zero is none: what was spent is charged.
local time = redis.call('TIME')
local now, cost = tonumber(time[1]), tonumber(ARGV[1])
local held = redis.call('MGET', unpack(KEYS))
local answer = { now, tonumber(time[2]), 0 }
for at = 1, #KEYS do
    local used, limit = tonumber(held[at] or '0'), tonumber(ARGV[2 * at + 1])
    answer[at + 3] = used
    if answer[3] == 0 and limit >= 0 and used + cost > limit then answer[3] = at end
end
if answer[3] == 0 then
    for at, key in ipairs(KEYS) do
        answer[at + 3] = redis.call('INCRBY', key, cost)
        if not held[at] then
            local seconds = tonumber(ARGV[2 * at])
            redis.call('EXPIREAT', key, (math.floor(now / seconds) + 1) * seconds)
        end
    end
end
return answer
