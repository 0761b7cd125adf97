std = "lua54" -- what 5.5 adds is not used
codes = true
-- StyLua keeps the width and leaves alone only what cannot be broken: long strings and comments.
max_line_length = 120
-- An annotation for editors is one line, however long the type is, also in a text of which a spec makes a file.
max_comment_line_length = false
max_string_line_length = false

files["spec/**/*_spec.lua"] = { std = "+busted" }
files["spec/packaging/embed.lua"] = { std = "+busted" }
files["spec/alloc/*.lua"] = { read_globals = { "failing" }, globals = { "afterwards" } }
files["examples/embed/lighttpd/batches.lua"] = { globals = { "lighty" } }
files["lua/llama_cloud/cli/texts.lua"] = { max_line_length = false } -- made by scripts/flags.lua
