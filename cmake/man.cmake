# The manual pages, which scripts/man.lua has made, with the version and a date in them.

include(date)
set(INSTALL_MAN "share/man" CACHE PATH "Where manual pages are installed")

function(llama_cloud_man)
  set(VERSION "${PROJECT_VERSION}")
  llama_cloud_date("${CMAKE_CURRENT_SOURCE_DIR}" DATE)
  foreach(page llama-cloud.1 llama-cloud-sandbox.1 llama_cloud.3)
    string(REGEX REPLACE "^.*[.]" "" section "${page}")
    configure_file("man/${page}.in" "${CMAKE_CURRENT_BINARY_DIR}/man/${page}" @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/man/${page}" DESTINATION "${INSTALL_MAN}/man${section}")
  endforeach()
endfunction()
llama_cloud_man()
