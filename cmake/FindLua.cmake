# Finds the headers of Lua 5.4 or 5.5 and, where there is one, its library (only the tests embed Lua). CMake's own module
# of this name takes whatever version is first.
#
#   LUA_VERSION      may be given: 5.4 or 5.5, the Lua that will load the core. Without it, the first that is found
#   LUA_INCDIR       may be given, as LuaRocks does: the directory of lua.h
#   LUA_VERSION_FOUND, LUA_INCLUDE_DIR, LUA_LIBRARY   which it is, the directory of lua.h, liblua or NOTFOUND
set(LUA_VERSION "" CACHE STRING "The Lua that will load the core: 5.4 or 5.5; without it, the first that is found")
if(NOT LUA_VERSION MATCHES "^(5\\.4|5\\.5)?$")
  message(FATAL_ERROR "LUA_VERSION is ${LUA_VERSION}: only Lua 5.4 and 5.5 will do")
endif()

find_package(PkgConfig QUIET)
set(LUA_SEEN "")
unset(LUA_VERSION_FOUND)
foreach(candidate IN ITEMS 5.4 5.5)
  if(LUA_VERSION AND NOT LUA_VERSION STREQUAL candidate)
    continue()
  endif()
  string(REPLACE "." "" short "${candidate}")
  set(names lua${candidate} lua${short} lua-${candidate})
  if(PKG_CONFIG_FOUND AND NOT LUA_INCDIR)
    pkg_search_module(PC_LUA${short} QUIET ${names} lua)
  endif()
  if(LUA_INCDIR)
    set(LUA${short}_INCLUDE_DIR "${LUA_INCDIR}" CACHE PATH "Directory of lua.h of Lua ${candidate}")
  elseif(NOT EXISTS "${LUA${short}_INCLUDE_DIR}/lua.h")
    unset(LUA${short}_INCLUDE_DIR CACHE) # removed since
  endif()
  find_path(LUA${short}_INCLUDE_DIR lua.h
    HINTS ${PC_LUA${short}_INCLUDE_DIRS}
    PATH_SUFFIXES ${names} lua
    DOC "Directory of lua.h of Lua ${candidate}")
  find_library(LUA${short}_LIBRARY NAMES ${names} lua HINTS ${PC_LUA${short}_LIBRARY_DIRS} ${PC_LUA${short}_LIBDIR})
  mark_as_advanced(LUA${short}_INCLUDE_DIR LUA${short}_LIBRARY)

  # A directory called `lua` may hold any version, so the header itself is asked.
  if(EXISTS "${LUA${short}_INCLUDE_DIR}/lua.h")
    set(numbers "")
    foreach(part IN ITEMS MAJOR MINOR)
      file(STRINGS "${LUA${short}_INCLUDE_DIR}/lua.h" line
        REGEX "^#define[ \t]+LUA_VERSION_${part}(_N)?[ \t]+\"?[0-9]" LIMIT_COUNT 1)
      string(REGEX MATCH "[0-9]+\"?$" number "${line}")
      string(REPLACE "\"" "" number "${number}")
      list(APPEND numbers "${number}")
    endforeach()
    list(JOIN numbers "." version)
    if(version STREQUAL candidate)
      set(LUA_VERSION_FOUND "${candidate}")
      set(LUA_INCLUDE_DIR "${LUA${short}_INCLUDE_DIR}")
      set(LUA_LIBRARY "${LUA${short}_LIBRARY}")
      break()
    endif()
    set(LUA_SEEN " (${LUA${short}_INCLUDE_DIR}/lua.h is of Lua ${version})")
  endif()
  unset(LUA${short}_INCLUDE_DIR CACHE)
endforeach()

if(NOT LUA_VERSION_FOUND)
  set(wanted "${LUA_VERSION}")
  if(NOT wanted)
    set(wanted "5.4 or 5.5")
  endif()
  string(REGEX MATCH "5\\.[45]" package "${wanted}")
  message(FATAL_ERROR "The headers of Lua ${wanted} were not found${LUA_SEEN}.\n"
    "On Debian and Ubuntu: apt-get install liblua${package}-dev\n"
    "Elsewhere: give their directory with -DLUA_INCDIR=/path/to/include")
endif()
