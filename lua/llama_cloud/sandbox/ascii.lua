-- Small and capital letters of ASCII, whatever the locale: to string.lower an I is something else in Turkey.

local ascii = {}

---@param text string
---@return string
function ascii.lower(text)
  return (text:gsub("[A-Z]", function(letter)
    return string.char(letter:byte() + 32)
  end))
end

---@param text string
---@return string
function ascii.upper(text)
  return (text:gsub("[a-z]", function(letter)
    return string.char(letter:byte() - 32)
  end))
end

return ascii
