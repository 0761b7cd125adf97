# The date of the sources in a directory: SOURCE_DATE_EPOCH, or the newest release in CHANGELOG.md, or the last commit. So the
# same sources have the same one.
function(llama_cloud_date directory result)
  set(date)
  set(releases)
  if(EXISTS "${directory}/CHANGELOG.md")
    file(STRINGS "${directory}/CHANGELOG.md" releases REGEX "^## \\[[0-9].* [0-9]+-[0-9]+-[0-9]+$")
  endif()
  if(DEFINED ENV{SOURCE_DATE_EPOCH})
    string(TIMESTAMP date "%Y-%m-%d" UTC) # which looks at that variable
  elseif(releases)
    list(GET releases 0 date)
    string(REGEX REPLACE "^.* " "" date "${date}")
  else()
    execute_process(COMMAND git log -1 --format=%cs WORKING_DIRECTORY "${directory}"
      OUTPUT_VARIABLE date ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  if(NOT date)
    string(TIMESTAMP date "%Y-%m-%d" UTC) # sources of no release, without their history
  endif()
  set(${result} "${date}" PARENT_SCOPE)
endfunction()
