-- wrk plays the requests of a plan file (tests/bench/generator.py) in their order, again and again.
-- A request with a version is an update of a resource of its own: each time it is sent it names the next version.

local requests, versions = {}, {}
local index = 0
local looking = true

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local head = file:read("*l")
    if not head then break end
    local size, version = head:match("^(%d+) (%d+)$")
    requests[#requests + 1] = file:read(tonumber(size))
    versions[#versions + 1] = tonumber(version)
    file:read("*l")
  end
  file:close()
end

function request()
  -- The first call only shows wrk what requests look like; what it gives is never sent.
  if looking then
    looking = false
    return requests[1]
  end
  index = index % #requests + 1
  local version = versions[index]
  if version == 0 then
    return requests[index]
  end
  versions[index] = version + 1
  return (requests[index]:gsub("@VERSION@", string.format("%d", version)):gsub("#VERSION", string.format("%08d", version)))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\n",
    summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
