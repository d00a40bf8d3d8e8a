-- A gateway that counted alone tells what it knows. KEYS: windows. ARGV, for each: its seconds, its number since 1970, how much was seen
-- here before, how much was counted alone since. A window that is over is left; one that was lost is there again.
local now = tonumber(redis.call('TIME')[1])
for at, key in ipairs(KEYS) do
    local seconds, number, seen, alone = tonumber(ARGV[4 * at - 3]), tonumber(ARGV[4 * at - 2]), tonumber(ARGV[4 * at - 1]), tonumber(ARGV[4 * at])
    if math.floor(now / seconds) == number then
        local used = math.max(tonumber(redis.call('GET', key) or '0'), seen) + alone
        redis.call('SET', key, string.format('%.0f', used), 'EXAT', (number + 1) * seconds)
    end
end
return now
