-- wrk script: writes or reads random keys of one of the two systems under comparison.
-- Arguments behind `--`: SYSTEM (multiraft|etcd|plain) OPERATION (put|get|fill) KEYS VALUE_BYTES
-- or, for `plain`, a path to GET. Prints one JSON line at the end.

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 18, 0, -6 do
      local digit = math.floor(n / 2 ^ shift) % 64 + 1
      out[#out + 1] = alphabet:sub(digit, digit)
    end
    if not b then out[#out - 1] = "=" end
    if not c then out[#out] = "=" end
  end
  return table.concat(out)
end

local requests = {}
local in_order = false
local position = 0

local function request_for(system, operation, key, value)
  local json = { ["Content-Type"] = "application/json" }
  if system == "etcd" then
    if operation == "get" then
      return wrk.format("POST", "/v3/kv/range", json, '{"key":"' .. base64(key) .. '"}')
    end
    local body = '{"key":"' .. base64(key) .. '","value":"' .. base64(value) .. '"}'
    return wrk.format("POST", "/v3/kv/put", json, body)
  end
  if operation == "get" then return wrk.format("GET", "/1/" .. key) end
  return wrk.format("PUT", "/1", json, '{"Key":"' .. key .. '","Value":"' .. value .. '"}')
end

function init(args)
  local system, operation = args[1], args[2]
  if system == "plain" then
    requests[1] = wrk.format("GET", operation)
    return
  end
  local keys, value = tonumber(args[3]), string.rep("v", tonumber(args[4]))
  for i = 1, keys do
    local key = string.format("key-%012d", i) -- 16 bytes.
    requests[i] = request_for(system, operation, key, value)
  end
  in_order = operation == "fill"
  math.randomseed(os.time() + math.floor(os.clock() * 1e6))
end

function request()
  if in_order then
    position = position % #requests + 1
    return requests[position]
  end
  return requests[math.random(#requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
