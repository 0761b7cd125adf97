-- Lower and upper case of ASCII letters, whatever the locale: in a Turkish one string.lower does not make an i of an I.

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
