# shellcheck shell=sh
# What the scripts share. Each of them reads this file once it has set `root`, the top of the checkout.

# The build directory.
build=${LLAMA_CLOUD_BUILD:-$root/build}
case $build in
  /*) ;;
  *) build=$PWD/$build ;;
esac

# Ends the script with one sentence: what is wrong, and what to do.
stop() {
  echo "scripts/${0##*/}: $*" >&2
  exit 1
}

# Sets `lua` and `lua_version` (5.4 or 5.5) to those of $LUA or, without it, of the first interpreter that will do.
# Returns 1 where there is none; `lua_seen` then says what $LUA is.
find_lua() {
  lua_seen=
  if [ -n "${LUA-}" ]; then
    set -- "$LUA"
  else
    set -- lua5.4 lua5.5 lua54 lua55 lua
  fi
  for lua; do
    lua_version=$(LUA_INIT='' LUA_INIT_5_4='' LUA_INIT_5_5='' "$lua" -e 'io.write(_VERSION)' 2>/dev/null </dev/null) || continue
    lua_version=${lua_version#Lua }
    case $lua_version in
      5.4 | 5.5) return 0 ;;
    esac
    lua_seen=$lua_version
  done
  return 1
}

# Sets `lua` and `lua_version`, or stops.
need_lua() {
  find_lua && return
  if [ -z "${LUA-}" ]; then
    stop "Lua 5.4 or 5.5 is not installed: run 'scripts/setup run', or set LUA to the interpreter"
  fi
  command -v "$LUA" >/dev/null || stop "LUA is '$LUA', which is not installed: install it, or unset LUA"
  stop "LUA is '$LUA', which is ${lua_seen:+Lua $lua_seen and }not an interpreter of Lua 5.4 or 5.5: set it to one, or unset it"
}

# Stops where CMake cannot use a build directory: one that was made for another place (a checkout that was moved or copied),
# or that another user has made, or whose parent this user may not write to. Makes it where it is not there.
need_build_directory() { # DIRECTORY SOURCE
  directory=$1
  if ! mkdir -p "$directory" 2>/dev/null; then
    stop "the directory $directory cannot be made: set LLAMA_CLOUD_BUILD to one where you may write, and start again"
  fi
  for place in "$directory" "$directory"/CMakeCache.txt "$directory"/CMakeFiles "$directory"/CMakeFiles/core.dir \
    "$directory"/Makefile "$directory"/Testing "$directory"/llama_cloud "$directory"/llama_cloud/core.so; do
    if [ -e "$place" ] && [ ! -w "$place" ]; then
      stop "$place may not be written to by you: remove $directory as its owner, or set LLAMA_CLOUD_BUILD to another" \
        "directory, and start again"
    fi
  done
  [ -e "$directory/CMakeCache.txt" ] || return 0
  for pair in "CMAKE_HOME_DIRECTORY:$2" "CMAKE_CACHEFILE_DIR:$directory"; do
    made_for=$(sed -n "s/^${pair%%:*}:INTERNAL=//p" "$directory/CMakeCache.txt")
    if [ "$(CDPATH='' cd -- "$made_for" 2>/dev/null && pwd -P)" != "$(CDPATH='' cd -- "${pair#*:}" && pwd -P)" ]; then
      stop "$directory was made for $made_for, from where this checkout was moved or copied: remove it with" \
        "'rm -r $directory', and start again"
    fi
  done
}

# What the tests that failed have said, in a log of `ctest --output-on-failure`: of each the first 80 lines.
failures() { # LOG
  awk '
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / { left = /[*][*][*]/ && !/[*]Skipped/ ? 80 : 0 }
    /^ +Start +[0-9]+: / || /^[0-9]+% tests passed/ { left = 0 }
    left-- > 0' "$1"
}
