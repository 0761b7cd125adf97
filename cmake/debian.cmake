# Makes of what was installed what Debian's policies want, before CPack packs it: where libraries for Lua lie, which interpreter
# programs name, manual pages and changelogs that are compressed, a copyright file.
cmake_minimum_required(VERSION 3.19)
set(source "${CPACK_LLAMA_CLOUD_SOURCE}")
set(usr "${CPACK_TEMPORARY_DIRECTORY}/usr")
set(doc "${usr}/share/doc/${CPACK_PACKAGE_NAME}")

if(NOT "$ENV{DEBFULLNAME} $ENV{DEBEMAIL}" MATCHES "^[^<>\n]+ [^<> \n]+@[^<> \n]+$")
  message(FATAL_ERROR "The package must name who makes it: set DEBFULLNAME and DEBEMAIL to your name and address.")
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")

# Runs a command, and stops where it fails. Its output is in `output`.
function(run)
  execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE said RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    message(FATAL_ERROR "'${ARGV}' has failed: ${failed}")
  endif()
  set(output "${said}" PARENT_SCOPE)
endfunction()

# Moves a file or a directory below /usr, if it is not there already.
function(move from to)
  if(from STREQUAL to)
    return()
  endif()
  if(NOT EXISTS "${usr}/${from}")
    message(FATAL_ERROR "${from} was not installed below /usr: configure a new build directory without INSTALL_*")
  endif()
  get_filename_component(parent "${usr}/${to}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(RENAME "${usr}/${from}" "${usr}/${to}")
  get_filename_component(parent "${usr}/${from}" DIRECTORY)
  while(NOT parent STREQUAL usr)
    file(GLOB left "${parent}/*")
    if(left)
      break()
    endif()
    file(REMOVE_RECURSE "${parent}")
    get_filename_component(parent "${parent}" DIRECTORY)
  endwhile()
endfunction()

if(NOT EXISTS "${usr}/${CPACK_LLAMA_CLOUD_LIBRARIES}")
  move("lib/lua/${CPACK_LLAMA_CLOUD_LUA}" "${CPACK_LLAMA_CLOUD_LIBRARIES}")
endif()
move(share/zsh/site-functions/_llama-cloud share/zsh/vendor-completions/_llama-cloud)

foreach(program llama-cloud llama-cloud-sandbox)
  file(READ "${usr}/bin/${program}" text)
  string(REGEX REPLACE "^#![^\n]*" "#!/usr/bin/lua${CPACK_LLAMA_CLOUD_LUA}" text "${text}")
  file(WRITE "${usr}/bin/${program}" "${text}")
endforeach()

file(MAKE_DIRECTORY "${doc}")
file(COPY "${source}/README.md" "${source}/SECURITY.md" "${source}/docs" "${source}/examples" DESTINATION "${doc}"
  NO_SOURCE_PERMISSIONS FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
  DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

file(READ "${source}/LICENSE" licence)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)\n\n(.*)" licence "${licence}")
set(holder "${CMAKE_MATCH_1}")
string(REGEX REPLACE "\n+$" "" licence "${CMAKE_MATCH_2}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
file(WRITE "${doc}/copyright" "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: llama-cloud

Files: *
Copyright: ${holder}
License: Expat
 ${licence}
")

# The changelogs: the project's own, and that of the package, which is dated as the release is.
set(version "${CPACK_PACKAGE_VERSION}")
include("${source}/cmake/date.cmake")
llama_cloud_date("${source}" date)
run(date --utc --rfc-email "--date=${date}")
file(WRITE "${doc}/changelog.Debian" "${CPACK_PACKAGE_NAME} (${version}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Release ${version}. Its changes are in changelog.gz.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${output}
")
configure_file("${source}/CHANGELOG.md" "${doc}/changelog" COPYONLY)

file(GLOB_RECURSE pages "${usr}/share/man/*")
foreach(file IN LISTS pages ITEMS "${doc}/changelog" "${doc}/changelog.Debian")
  run(gzip -9n "${file}")
endforeach()
