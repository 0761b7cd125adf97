# Removes what `cmake --install` has installed last from this build directory, and the directories of its own that are empty
# then. DESTDIR, in the environment, is what it was at the installation.
if(NOT EXISTS "${MANIFEST}")
  message(FATAL_ERROR "${MANIFEST} is not there: nothing was installed from this build directory with 'cmake --install'")
endif()

file(STRINGS "${MANIFEST}" files ENCODING UTF-8)
set(directories "")
foreach(file IN LISTS files)
  set(file "$ENV{DESTDIR}${file}")
  if(EXISTS "${file}" OR IS_SYMLINK "${file}")
    message(STATUS "Removing ${file}")
    file(REMOVE "${file}")
  endif()
  if(EXISTS "${file}")
    message(FATAL_ERROR "${file} could not be removed: run it as the user who has installed it")
  endif()
  # Others are shared with what else is installed.
  while(file MATCHES "/llama_cloud/")
    get_filename_component(file "${file}" DIRECTORY)
    list(APPEND directories "${file}")
  endwhile()
endforeach()

list(REMOVE_DUPLICATES directories)
list(SORT directories ORDER DESCENDING) # what is within a directory comes before it
foreach(directory IN LISTS directories)
  execute_process(COMMAND rmdir "${directory}" ERROR_QUIET) # which removes it only if it is empty
endforeach()
file(REMOVE "${MANIFEST}")
