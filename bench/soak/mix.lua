-- wrk script: writes of which most go to a few hot groups and some to the many cold ones, and reads.
-- Arguments behind `--`: GROUPS HOT_GROUPS VALUE_BYTES COLD_ONE_OF READ_ONE_OF KEYS
-- Every COLD_ONE_OF-th request writes a small value to a cold group, every READ_ONE_OF-th reads.
-- Prints one JSON line at the end.

local options = {}
local hot_value
local n = 0

function init(args)
  local names = { "groups", "hot", "value_bytes", "cold_one_of", "read_one_of", "keys" }
  for i, name in ipairs(names) do options[name] = tonumber(args[i]) end
  hot_value = string.rep("v", options.value_bytes)
  math.randomseed(os.time() + math.floor(os.clock() * 1e6))
end

local function path(group, key) return "/v1/groups/" .. group .. "/kv/" .. key end

function request()
  n = n + 1
  if n % options.cold_one_of == 0 then
    local group = options.hot + 1 + math.random(0, options.groups - options.hot - 1)
    return wrk.format("PUT", path(group, "cold-" .. math.random(100)), nil, "small")
  end
  local at = path(1 + n % options.hot, "hot-" .. math.random(options.keys))
  if n % options.read_one_of == 0 then return wrk.format("GET", at) end
  return wrk.format("PUT", at, nil, hot_value)
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"seconds":%.3f,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
