# Finds the headers of Lua 5.4 and, where there is one, its library (only the tests embed Lua).
#
#   LUA_INCDIR         may be given, as LuaRocks does: the directory of lua.h
#   LUA54_INCLUDE_DIR  the directory of lua.h
#   LUA54_LIBRARY      liblua, or LUA54_LIBRARY-NOTFOUND
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND AND NOT LUA_INCDIR)
  pkg_search_module(PC_LUA54 QUIET lua5.4 lua-5.4 lua54 "lua>=5.4 lua<5.5")
endif()

if(LUA_INCDIR)
  set(LUA54_INCLUDE_DIR "${LUA_INCDIR}" CACHE PATH "Directory of lua.h of Lua 5.4")
endif()
find_path(LUA54_INCLUDE_DIR lua.h
  HINTS ${PC_LUA54_INCLUDE_DIRS}
  PATH_SUFFIXES lua5.4 lua54 lua-5.4 lua
  DOC "Directory of lua.h of Lua 5.4")
find_library(LUA54_LIBRARY NAMES lua5.4 lua54 lua-5.4 lua HINTS ${PC_LUA54_LIBRARY_DIRS} ${PC_LUA54_LIBDIR})
mark_as_advanced(LUA54_INCLUDE_DIR LUA54_LIBRARY)

# A directory called `lua` may hold any version, so the header itself is asked.
if(LUA54_INCLUDE_DIR AND EXISTS "${LUA54_INCLUDE_DIR}/lua.h")
  file(STRINGS "${LUA54_INCLUDE_DIR}/lua.h" LUA54_VERSION_LINE REGEX "^#define[ \t]+LUA_VERSION_NUM")
  string(REGEX MATCH "LUA_VERSION_NUM[ \t]+([0-9]+)" _ "${LUA54_VERSION_LINE}")
  set(LUA54_VERSION_NUM "${CMAKE_MATCH_1}")
endif()

if(NOT LUA54_VERSION_NUM STREQUAL "504")
  if(LUA54_INCLUDE_DIR)
    set(LUA54_SEEN " (${LUA54_INCLUDE_DIR}/lua.h is not of Lua 5.4)")
    unset(LUA54_INCLUDE_DIR CACHE)
  endif()
  message(FATAL_ERROR "The headers of Lua 5.4 were not found${LUA54_SEEN}.\n"
    "On Debian and Ubuntu: apt-get install liblua5.4-dev\n"
    "Elsewhere: give their directory with -DLUA_INCDIR=/path/to/include")
endif()
