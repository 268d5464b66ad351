-- Requests for wrk, all different: requests.lua KIND NAME. At the end it prints one line of JSON; times are microseconds.

local count = 0
local path, prefix, kind
local headers = { ["Content-Type"] = "application/json" }

-- A token of the size that Supabase's have. Its middle part is the user's id for the stub.
local jwt_header, jwt_rest = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0", string.rep("c2lnbmF0dXJl", 36)

function init(args)
  kind, prefix = args[1], args[2]
  path = wrk.path
end

function request()
  count = count + 1
  if kind == "event" then
    return wrk.format("POST", path, headers, string.format(
      '{"userId":"%s-%08d","action":"reading.progress","sentAt":"%s","book":"b-1","page":201}', prefix, count, os.date("!%Y-%m-%dT%H:%M:%S.000Z")))
  end
  headers["Idempotency-Key"] = string.format("%s-%08d", prefix, count)
  return wrk.format("POST", path, headers, string.format(
    '{"action":"provision_api_key","jwt":"%s.%s-%08d.%s","name":"My reader","tier":"new"}', jwt_header, prefix, count, jwt_rest))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format(
    'result: {"requests":%d,"elapsed":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
