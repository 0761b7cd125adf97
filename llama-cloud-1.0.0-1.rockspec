rockspec_format = "3.0"
package = "llama-cloud"
version = "1.0.0-1"

-- The archive, which scripts/release makes of the tag v1.0.0, lies beside this file.
source = {
  url = "file://llama-cloud-1.0.0.tar.gz",
}

description = {
  summary = "LlamaCloud (LlamaParse) client library and command line",
  detailed = [[
Processes a folder of files and saves the results, and has every endpoint for files, batches, parsing, extraction,
classification and splitting as a function of Lua and as a command; none for indexes, retrieval and chat. Calls wait
without blocking.
The transport and the JSON codec are written in C over libcurl (7.87 or later) and zlib. To build it, CMake and the
headers of both are needed. Linux.]],
  license = "MIT",
  labels = { "http", "api", "client", "json", "llm" },
}

supported_platforms = { "linux" }

-- libcurl is found by CMake: LuaRocks looks for curl.h where Debian does not have it. What only the sandbox needs
-- (lua-cjson, cqueues), the command line (argparse) or `process` (luafilesystem), they ask for themselves.
dependencies = {
  "lua >= 5.4, < 5.6",
}

test_dependencies = {
  "busted",
}

test = {
  type = "busted",
}

build = {
  type = "cmake",
  copy_directories = { "docs", "examples" },
  variables = {
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    INSTALL_CMOD = "$(LIBDIR)",
    INSTALL_LMOD = "$(LUADIR)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    BUILD_TESTING = "OFF",
  },
}
