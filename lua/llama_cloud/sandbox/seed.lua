-- Everything that the sandbox makes up comes from here: the same seed gives the same ids, sizes and fates.
-- An id carries the number it was made from, so a batch among 100,000 is found by its id without any table of ids.

local seed = {}

-- The finalizer of splitmix64.
local function mix(x)
  x = (x ~ (x >> 30)) * 0xbf58476d1ce4e5b9
  x = (x ~ (x >> 27)) * 0x94d049bb133111eb
  return x ~ (x >> 31)
end

--- A 64-bit hash of up to three integers.
---@param a integer
---@param b? integer
---@param c? integer
---@return integer
local function hash(a, b, c)
  return mix(mix(mix(a + 0x9e3779b97f4a7c15) + (b or 0)) + (c or 0))
end
seed.hash = hash

--- A 64-bit hash of a string.
---@param text string
---@return integer
function seed.hash_string(text)
  local state = #text
  for i = 1, #text do
    state = (state ~ text:byte(i)) * 0x100000001b3
  end
  return mix(state)
end

--- A number in 0 … n - 1 out of a hash.
---@param value integer
---@param n integer
---@return integer
function seed.below(value, n)
  return (value >> 1) % n
end

local LOW_48 = 0xffffffffffff

--- An id such as `bat-1b4e28ba-2fa1-4d3e-883f-0016d3cca427`. The first four groups are a hash of scope and number, the
--- last hides the number (below 2^48).
---@param prefix string
---@param scope integer what tells this kind of id from others: a hash of the seed and of what it belongs to
---@param number integer
---@return string
function seed.id(prefix, scope, number)
  local key = hash(scope, number)
  return string.format(
    "%s-%08x-%04x-4%03x-%04x-%012x",
    prefix,
    key >> 32,
    (key >> 16) & 0xffff,
    (key >> 4) & 0xfff,
    0x8000 | (key >> 2) & 0x3fff,
    (number ~ mix(scope ~ (key >> 32))) & LOW_48
  )
end

--- The number that `id` was made from, or nil if it was not made from this prefix and scope.
---@param prefix string
---@param scope integer
---@param id string
---@return integer?
function seed.number(prefix, scope, id)
  if id:byte(#prefix + 1) ~= 45 or id:sub(1, #prefix) ~= prefix then -- most ids are of another kind
    return nil
  end
  local first, last = id:match("^%l+%-(%x%x%x%x%x%x%x%x)%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-(%x%x%x%x%x%x%x%x%x%x%x%x)$")
  if not first then
    return nil
  end
  local number = (tonumber(last, 16) ~ mix(scope ~ tonumber(first, 16))) & LOW_48
  return seed.id(prefix, scope, number) == id and number or nil
end

return seed
