-- wrk script of `make bench`. Environment: OP, N (entities), SEED, BASE (path of the API), PAUSE (ms after each answer
-- of a connection). Prints one line "RESULT {json}".
local op, n = os.getenv("OP"), tonumber(os.getenv("N"))
local seed, base = tonumber(os.getenv("SEED")), os.getenv("BASE") or "/ngsi-ld/v1"
local get = { ["Accept"] = "application/json" }
local write = { ["Content-Type"] = "application/json" }
local wanted = { create = 201, batch = 204, patch = 204, notif = 204 }
local threads, counter, bodies = {}, 0, {}
wrong = 0

function setup(thread) table.insert(threads, thread) end

local function id(number) return string.format("urn:ngsi-ld:WaterLevelObserved:%06d", number) end

local function entity(name, kind, number)
  return string.format('{"id":"%s","type":"%s","name":{"type":"Property","value":"Station %06d"},' ..
    '"waterLevel":{"type":"Property","value":%.3f,"unitCode":"MTR","observedAt":"%s"},' ..
    '"flowRate":{"type":"Property","value":%.2f},"temperature":{"type":"Property","value":%.1f,"unitCode":"CEL"},' ..
    '"batteryLevel":{"type":"Property","value":%.2f},"status":{"type":"Property","value":"ok"},' ..
    '"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[%.6f,%.6f]}},' ..
    '"refDevice":{"type":"Relationship","object":"urn:ngsi-ld:Device:%06d"}}',
    name, kind, number, math.random() * 5, os.date("!%Y-%m-%dT%H:%M:%SZ"), math.random() * 100, 5 + math.random() * 25,
    math.random(), 134.6 + math.random() * 0.22, 34.6 + math.random() * 0.18, number)
end

local function level()
  return string.format('{"waterLevel":{"type":"Property","value":%.4f,"unitCode":"MTR","observedAt":"%s"}}',
    math.random() * 5, os.date("!%Y-%m-%dT%H:%M:%SZ"))
end

function wide_attribute()
  local members = {}
  for member = 1, 50 do members[member] = string.format('"member%02d":%.3f', member, math.random()) end
  return '{"profile":{"type":"Property","value":{' .. table.concat(members, ",") .. "}}}"
end

local requests = {
  get = function() return wrk.format("GET", base .. "/entities/" .. id(math.random(1, n)), get) end,
  query = function() return wrk.format("GET", base .. "/entities?type=WaterLevelObserved&q=waterLevel%3E2&limit=20", get) end,
  querysel = function() return wrk.format("GET", base .. "/entities?type=WaterLevelObserved&q=waterLevel%3E4.95&limit=20", get) end,
  geo = function()
    return wrk.format("GET", string.format("%s/entities?type=WaterLevelObserved&georel=near%%3BmaxDistance%%3D%%3D1000" ..
      "&geometry=Point&coordinates=%%5B%.5f%%2C%.5f%%5D&limit=20", base, 134.62 + math.random() * 0.18,
      34.62 + math.random() * 0.14), get)
  end,
  patch = function() return wrk.format("PATCH", base .. "/entities/" .. id(math.random(1, n)) .. "/attrs", write, level()) end,
  -- as query, but seldom twice the same: nothing can be shared
  queryany = function()
    return wrk.format("GET", string.format("%s/entities?type=WaterLevelObserved&q=waterLevel%%3E%.6f&limit=20", base,
      math.random() * 4), get)
  end,
  -- 16 entities that everybody wants
  hot = function()
    local target = base .. "/entities/" .. id(math.random(1, 16))
    if math.random() < 0.5 then return wrk.format("GET", target, get) end
    return wrk.format("PATCH", target .. "/attrs", write, level())
  end,
  -- attributes of 50 members
  wide = function()
    local target = base .. "/entities/" .. id(math.random(1, n))
    if math.random() < 0.5 then return wrk.format("GET", target, get) end
    return wrk.format("PATCH", target .. "/attrs", write, wide_attribute())
  end,
  -- four tenants, half of what they do is reading
  tenants = function()
    local headers = { ["NGSILD-Tenant"] = "bench" .. math.random(1, 4), ["Content-Type"] = "application/json" }
    local target = base .. "/entities/" .. id(math.random(1, 1000))
    if math.random() < 0.5 then return wrk.format("GET", target, headers) end
    return wrk.format("PATCH", target .. "/attrs", headers, level())
  end,
  create = function()
    counter = counter + 1
    return wrk.format("POST", base .. "/entities", write,
      entity(string.format("urn:ngsi-ld:New:%d:%d", seed, counter), "New", counter))
  end,
  batch = function()
    counter = counter % #bodies + 1
    return bodies[counter]
  end,
}
requests.notif = requests.patch
requests.mix = function()
  local dice = math.random()
  if dice < 0.70 then return requests.get() elseif dice < 0.95 then return requests.patch() end
  return requests.batch()
end

function init()
  math.randomseed(seed * 7919 + 13)
  if op == "batch" or op == "mix" then
    for b = 1, 100 do
      local parts = {}
      local first = math.random(0, math.max(0, n - 100))
      for k = 1, 100 do parts[k] = entity(id(first + k), "WaterLevelObserved", first + k) end
      bodies[b] = wrk.format("POST", base .. "/entityOperations/upsert?options=update", write,
        "[" .. table.concat(parts, ",") .. "]")
    end
  end
end

request = requests[op]

local pause = tonumber(os.getenv("PAUSE") or "0")
if pause > 0 then
  function delay() return pause * 2 * math.random() end
end

function response(status)
  if op == "mix" or op == "hot" or op == "wide" or op == "tenants" then
    if status >= 300 then wrong = wrong + 1 end
  elseif status ~= (wanted[op] or 200) then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  io.write(string.format('RESULT {"requests":%d,"seconds":%.3f,"p50":%.3f,"p99":%.3f,"bad":%d,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
