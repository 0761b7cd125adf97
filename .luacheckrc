std = "lua54"
codes = true
-- StyLua keeps the width and leaves alone only what cannot be broken: long strings and comments.
max_line_length = 120

files["spec/**/*_spec.lua"] = { std = "+busted" }
