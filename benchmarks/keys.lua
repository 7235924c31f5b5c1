-- For wrk: asks for many paths in turn. Arguments: a path with `{}` in it, and how many numbers.

local requests = {}
local asked = 0

function init(arguments)
  for number = 0, tonumber(arguments[2]) - 1 do
    local path = arguments[1]:gsub("{}", tostring(number))
    requests[number] = wrk.format("GET", path)
  end
end

function request()
  asked = (asked + 1) % (#requests + 1)
  return requests[asked]
end
