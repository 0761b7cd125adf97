# What is installed beside the modules and the programs; `uninstall`; and the package for Debian and Ubuntu: `cpack -G DEB`.
# docs/packaging.md describes them for those who make packages.

# Completions, each where its shell looks.
set(SHELLS "${CMAKE_CURRENT_SOURCE_DIR}/lua/llama_cloud/cli/shells.lua")
set(INSTALL_ZSH "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" CACHE PATH "Where zsh looks for completions")
set(completions
  "bash:${CMAKE_INSTALL_DATADIR}/bash-completion/completions/llama-cloud"
  "zsh:${INSTALL_ZSH}/_llama-cloud"
  "fish:${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d/llama-cloud.fish")
if(LUA_PROGRAM)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${SHELLS}")
  foreach(completion IN LISTS completions)
    string(REGEX MATCH "^[a-z]+" shell "${completion}")
    string(REGEX REPLACE "^[a-z]+:" "" place "${completion}")
    get_filename_component(directory "${place}" DIRECTORY)
    get_filename_component(name "${place}" NAME)
    set(made "${CMAKE_CURRENT_BINARY_DIR}/completions/${shell}")
    execute_process(COMMAND "${LUA_PROGRAM}" -e "io.write(dofile(arg[1])[arg[2]])" /dev/null "${SHELLS}" "${shell}"
      OUTPUT_VARIABLE script RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "${LUA_PROGRAM} could not read ${SHELLS}")
    endif()
    file(WRITE "${made}" "${script}")
    install(FILES "${made}" DESTINATION "${directory}" RENAME "${name}")
  endforeach()
else()
  message(STATUS "No completions for shells: there is no program lua${LUA_VERSION_FOUND} to make them")
endif()

add_custom_target(uninstall
  COMMAND "${CMAKE_COMMAND}" -DMANIFEST=${CMAKE_CURRENT_BINARY_DIR}/install_manifest.txt
    -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/uninstall.cmake"
  VERBATIM)

# The names are Debian's, of its policy for Lua; what the modules of Lua are needed for is in the README.
set(lua "lua${LUA_VERSION_FOUND}")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lua-llama-cloud)
set(CPACK_PACKAGE_VENDOR "llama-cloud for Lua contributors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "LlamaCloud (LlamaParse) client library and command line for Lua")
set(CPACK_PACKAGE_DESCRIPTION
"LlamaCloud is a service that parses documents, and extracts, classifies and
splits what is in them. This package processes a folder of files and saves the
results, and has every endpoint for files, batches, parsing, extraction,
classification and splitting as a function of Lua and as a command; none for
indexes, retrieval and chat.

Calls wait without blocking, also in the event loops of cqueues, Copas and
luv. Uploads and batches that were interrupted continue where they stopped.

It includes llama-cloud-sandbox, a local service to test programs against.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0.1) # before Debian's own 1.0.0-1
set(CPACK_DEBIAN_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${lua}, libcurl4 (>= ${CURL_NEEDED}) | libcurl4t64")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, lua-argparse, lua-filesystem")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "lua-cjson, lua-cqueues, lua-luaossl")
set(CPACK_DEBIAN_PACKAGE_PROVIDES "${lua}-llama-cloud")
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/cmake/debian.cmake")
# For that script:
set(CPACK_LLAMA_CLOUD_SOURCE "${CMAKE_CURRENT_SOURCE_DIR}")
set(CPACK_LLAMA_CLOUD_LUA "${LUA_VERSION_FOUND}")
set(CPACK_LLAMA_CLOUD_LIBRARIES "lib/${CMAKE_LIBRARY_ARCHITECTURE}/lua/${LUA_VERSION_FOUND}")
include(CPack)
