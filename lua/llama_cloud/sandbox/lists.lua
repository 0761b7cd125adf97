-- How the stores find what belongs on a page, and what a filter of several values lets through.

local lists = {}

--- Takes the numbers for a page: those that `number_at` returns for the indexes of a range; it returns false or nil for
--- what does not match.
---@param limit integer
---@param first integer
---@param last integer
---@param step integer 1 or -1
---@param number_at fun(index: integer): integer|false|nil
---@return integer[] numbers at most `limit`
---@return boolean more whether others follow
function lists.take(limit, first, last, step, number_at)
  local numbers = {}
  for index = first, last, step do
    local number = number_at(index)
    if number then
      if #numbers == limit then
        return numbers, true
      end
      numbers[#numbers + 1] = number
    end
  end
  return numbers, false
end

--- Takes numbers from `count` down to 1, newest first.
---@param count integer
---@param before? integer takes only lower ones
---@param limit integer
---@param matches fun(number: integer): any
---@return integer[] numbers
---@return boolean more
function lists.newest(count, before, limit, matches)
  return lists.take(limit, (before or count + 1) - 1, 1, -1, function(number)
    return matches(number) and number
  end)
end

--- The lowest number from `low` on for which `holds` is true; `high` if there is none below it. What holds for a number
--- must hold for all higher ones.
---@param low integer
---@param high integer
---@param holds fun(number: integer): boolean
---@return integer
function lists.lowest(low, high, holds)
  while low < high do
    local middle = (low + high) // 2
    if holds(middle) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

--- The values of a filter as a set; nil if there are none, and everything passes.
---@param values? string[]
---@return table<string, boolean>?
function lists.set(values)
  local set
  for _, value in ipairs(values or {}) do
    set = set or {}
    set[value] = true
  end
  return set
end

return lists
