-- Runs busted in this very interpreter. Its own launcher would start another one, which neither valgrind
-- nor a preloaded sanitizer would follow.
require("busted.runner") { standalone = false }
