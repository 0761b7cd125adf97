# Every check of the project is a CTest test, so that one closing line counts them all.
#
#   label     what
#   plain     each spec file, each chunk of spec/alloc under an allocator that fails, and each of spec/close, whose Lua
#             state is closed at every step
#   host      the specs of the client inside a group, in llama_cloud.wrap and in each event loop
#   asan      the same against a core built with AddressSanitizer and UndefinedBehaviorSanitizer
#   words     the specs about JSON with a sanitized core whose scanners do without SSE2, as on other processors
#   threads   two Lua states in two threads, under ThreadSanitizer
#   memory    each chunk of spec/alloc while allocations of the core's own code, or of libcurl, fail
#   valgrind  each spec file that makes the core work, under memcheck
#   fuzz      each fuzz target for a few seconds (scripts/fuzz runs them for longer)
#   package   what the shared object exports; the rock, installed into an empty tree; Debian's package
#   lint      formatters and linters, each skipped where the tool is missing
#
# A test that computes all the time counts as two (PROCESSORS), as most wait all the time: scripts/test runs as many as there
# are processors, or twice as many that wait.
#
# What measures memory (whole/memory) does not share the machine with another test.

set(SOURCE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
set(RUN_SPEC "${SOURCE_DIR}/scripts/spec")

# The name of a spec or chunk in the list of tests: room.file, without what all have in common.
function(spec_name file result)
  file(RELATIVE_PATH name "${SOURCE_DIR}/spec" "${file}")
  string(REGEX REPLACE "(_spec)?[.]lua$" "" name "${name}")
  string(REPLACE "/" "." name "${name}")
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

# One test per file and mode. The time limits are for a machine much slower than any of ours: they end
# what hangs.
function(add_spec mode file timeout)
  spec_name("${file}" name)
  set(test "${mode}.${name}")
  # The long ones begin early, lest all wait for one in the end.
  set(cost ${timeout})
  if(name MATCHES "^(alloc[.]|whole[.](leaks|fault_matrix|security)$)")
    math(EXPR cost "5 * ${cost}")
  endif()
  add_test(NAME "${test}" COMMAND "${RUN_SPEC}" ${mode} "${file}" WORKING_DIRECTORY "${SOURCE_DIR}")
  set_tests_properties("${test}" PROPERTIES
    LABELS ${mode} TIMEOUT ${timeout} COST ${cost}
    ENVIRONMENT "LLAMA_CLOUD_BUILD=${CMAKE_CURRENT_BINARY_DIR}")
  if(name STREQUAL "whole.memory")
    set_tests_properties("${test}" PROPERTIES RUN_SERIAL ON)
  endif()
  if(name MATCHES "^alloc[.]" OR NOT mode STREQUAL "plain")
    set_tests_properties("${test}" PROPERTIES PROCESSORS 2)
  endif()
  if(mode STREQUAL "core" OR mode STREQUAL "curl")
    set_tests_properties("${test}" PROPERTIES LABELS memory)
  endif()
  if(mode MATCHES "^(asan|core|curl|words)$")
    set_tests_properties("${test}" PROPERTIES FIXTURES_REQUIRED asan)
  elseif(mode STREQUAL "threads")
    set_tests_properties("${test}" PROPERTIES FIXTURES_REQUIRED tsan)
  endif()
endfunction()

# An executable that embeds Lua: spec/support/NAME.c.
function(add_harness target name)
  add_executable(${target} spec/support/${name}.c)
  llama_cloud_compile(${target})
  target_include_directories(${target} SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
  target_link_libraries(${target} PRIVATE ${LUA_LIBRARY} ${CMAKE_DL_LIBS} m)
  # Where liblua is a static library, the core finds Lua's functions in the program.
  set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
endfunction()

file(GLOB_RECURSE SPEC_FILES CONFIGURE_DEPENDS "${SOURCE_DIR}/spec/*_spec.lua")
file(GLOB ALLOC_FILES CONFIGURE_DEPENDS "${SOURCE_DIR}/spec/alloc/*.lua")
file(GLOB CLOSE_FILES CONFIGURE_DEPENDS "${SOURCE_DIR}/spec/close/*.lua")

if(NOT LUA_LIBRARY)
  string(REPLACE "." "" short "${LUA_VERSION_FOUND}")
  message(FATAL_ERROR "The tests embed Lua and liblua of Lua ${LUA_VERSION_FOUND} was not found. Give it with "
    "-DLUA${short}_LIBRARY=/path/to/liblua, or build without tests: -DBUILD_TESTING=OFF")
endif()
foreach(name alloc_harness close_harness)
  add_harness(${name} ${name})
endforeach()

# The programs of examples/embed, for project/embed_spec.
set(LUA_PACKAGE "lua${LUA_VERSION_FOUND}" CACHE INTERNAL "")
add_subdirectory(examples/embed)
foreach(target poll_loop poll_loop_static poll_loop_whole thread_pool limits)
  if(TARGET ${target})
    llama_cloud_compile(${target})
  endif()
endforeach()
if(LLAMA_CLOUD_COVERAGE)
  target_link_options(poll_loop_whole PRIVATE --coverage) # it has the objects of the core
endif()

# What specs load (spec/support/process.lua finds them): libraries to preload, and modules for Lua.
foreach(name slow_getaddrinfo failing fork probe)
  add_library(spec_${name} MODULE spec/support/${name}.c)
  llama_cloud_compile(spec_${name})
  target_include_directories(spec_${name} SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
  target_link_libraries(spec_${name} PRIVATE ${CMAKE_DL_LIBS})
  set_target_properties(spec_${name} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/spec_support")
endforeach()

foreach(file IN LISTS SPEC_FILES)
  add_spec(plain "${file}" 300)
endforeach()
# What is not about the core is tried without instruments only: the sandbox, scripts, pages and packages, what the command line
# is made of, and the gate, which is simulated by minutes of arithmetic.
set(CORE_SPECS ${SPEC_FILES})
list(FILTER CORE_SPECS EXCLUDE REGEX "/(sandbox/[a-z]*|cli/(calls|commands|docs|man|process|use)|http/gate|whole/wrong_turns)_spec[.]lua$")
list(FILTER CORE_SPECS EXCLUDE REGEX
  "/project/(architecture|bench|book|contributing|install|layers|lighttpd|public|record|reference|release|scripts|types)_spec[.]lua$")
foreach(file IN LISTS ALLOC_FILES)
  add_spec(plain "${file}" 300)
endforeach()
foreach(file IN LISTS CLOSE_FILES)
  add_spec(plain "${file}" 300)
endforeach()

# The specs of the client, once more inside each thing that it may live in (spec/support/hosts.lua).
# Copas 4 is rare: all of them are one test there, which is skipped where it is missing.
set(HOST_OPTIONS --helper=spec/support/hosts.lua)
# Those of modules that never wait, and those that are about hosts themselves, are left out.
set(CLIENT_SPECS ${SPEC_FILES})
list(FILTER CLIENT_SPECS INCLUDE REGEX "/spec/(client|resources|endpoint|http|loop)/")
list(FILTER CLIENT_SPECS EXCLUDE REGEX
  "/(endpoint/(nearest|options)|http/(date|decision|fork|gate|headers|http2|log|retry|url))_spec[.]lua$")
list(FILTER CLIENT_SPECS EXCLUDE REGEX "/loop/(blocking|drivers|fork|hooks|hosts|readable|shapes|step|wrap)_spec[.]lua$")
foreach(host group wrap cqueues luv)
  foreach(file IN LISTS CLIENT_SPECS)
    spec_name("${file}" name)
    set(test "host.${host}.${name}")
    add_test(NAME "${test}" COMMAND "${RUN_SPEC}" plain "${file}" ${HOST_OPTIONS} WORKING_DIRECTORY "${SOURCE_DIR}")
    set_tests_properties("${test}" PROPERTIES LABELS host TIMEOUT 300 SKIP_RETURN_CODE 77
      ENVIRONMENT "LLAMA_CLOUD_BUILD=${CMAKE_CURRENT_BINARY_DIR};LLAMA_CLOUD_TEST_HOST=${host}")
  endforeach()
endforeach()
add_test(NAME host.copas COMMAND "${RUN_SPEC}" plain ${CLIENT_SPECS} ${HOST_OPTIONS} WORKING_DIRECTORY "${SOURCE_DIR}")
set_tests_properties(host.copas PROPERTIES LABELS host TIMEOUT 900 COST 900 SKIP_RETURN_CODE 77
  ENVIRONMENT "LLAMA_CLOUD_BUILD=${CMAKE_CURRENT_BINARY_DIR};LLAMA_CLOUD_TEST_HOST=copas")

# The sanitized core is built when its tests are run and not before: nobody else needs it. The
# interpreter is not instrumented, so the runtime is preloaded (scripts/spec), and only GCC's is a shared
# library everywhere.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  if(NOT LLAMA_CLOUD_COVERAGE) # whose counters are of the code as it is written
    set(SANITIZE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1)
  endif()
  llama_cloud_core(core_asan "${CMAKE_CURRENT_BINARY_DIR}/asan")
  foreach(name alloc_harness close_harness)
    add_harness(${name}_asan ${name})
    set_target_properties(${name}_asan PROPERTIES
      OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/asan")
  endforeach()
  # Once more with a shim before malloc, which makes allocations fail.
  llama_cloud_core(core_shim "${CMAKE_CURRENT_BINARY_DIR}/asan/shim")
  target_sources(core_shim PRIVATE spec/support/malloc_shim.c)
  foreach(function malloc calloc realloc free strdup curl_global_init)
    target_link_options(core_shim PRIVATE "-Wl,--wrap=${function}")
  endforeach()
  llama_cloud_core(core_words "${CMAKE_CURRENT_BINARY_DIR}/words")
  target_compile_definitions(core_words PRIVATE JSON_WITHOUT_SSE2)
  foreach(target core_asan core_shim core_words alloc_harness_asan close_harness_asan)
    target_compile_options(${target} PRIVATE ${SANITIZE})
    target_link_options(${target} PRIVATE ${SANITIZE})
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  endforeach()
  add_custom_target(asan DEPENDS core_asan core_shim core_words alloc_harness_asan close_harness_asan)

  add_test(NAME asan.build COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_CURRENT_BINARY_DIR}" --target asan --parallel 2)
  set_tests_properties(asan.build PROPERTIES PROCESSORS 2 LABELS asan FIXTURES_SETUP asan TIMEOUT 600 COST 10000)
  foreach(file IN LISTS CORE_SPECS)
    add_spec(asan "${file}" 600)
    if(file MATCHES "/core/(json_.*|decoder|page)_spec[.]lua$")
      add_spec(words "${file}" 600)
    endif()
  endforeach()
  foreach(file IN LISTS ALLOC_FILES)
    add_spec(asan "${file}" 600)
    add_spec(core "${file}" 600)
    add_spec(curl "${file}" 600)
  endforeach()
  foreach(file IN LISTS CLOSE_FILES)
    add_spec(asan "${file}" 600)
  endforeach()

  # Two Lua states in two threads; and a race that must be reported, lest silence means nothing.
  execute_process(COMMAND "${CMAKE_C_COMPILER}" -print-file-name=libtsan.so
    OUTPUT_VARIABLE tsan_library OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(IS_ABSOLUTE "${tsan_library}") # there is none for 32 bits
    set(SANITIZE_THREADS -fsanitize=thread -fno-omit-frame-pointer -O1)
    llama_cloud_core(core_tsan "${CMAKE_CURRENT_BINARY_DIR}/tsan")
    add_harness(threads threads)
    add_executable(thread_pool_tsan examples/embed/thread_pool.c)
    target_include_directories(thread_pool_tsan SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
    target_link_libraries(thread_pool_tsan PRIVATE ${LUA_LIBRARY} CURL::libcurl ${CMAKE_DL_LIBS} m)
    set_target_properties(thread_pool_tsan PROPERTIES ENABLE_EXPORTS ON
      OUTPUT_NAME thread_pool RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tsan/examples/embed")
    foreach(target core_tsan threads thread_pool_tsan)
      target_compile_options(${target} PRIVATE ${SANITIZE_THREADS})
      target_link_options(${target} PRIVATE ${SANITIZE_THREADS})
      set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    endforeach()
    set_target_properties(threads PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tsan")
    add_custom_target(tsan DEPENDS core_tsan threads thread_pool_tsan)
    add_test(NAME threads.build COMMAND "${CMAKE_COMMAND}" --build "${CMAKE_CURRENT_BINARY_DIR}" --target tsan --parallel 2)
    set_tests_properties(threads.build PROPERTIES PROCESSORS 2 LABELS threads FIXTURES_SETUP tsan TIMEOUT 600 COST 9000)
    add_spec(threads "${SOURCE_DIR}/spec/threads/work.lua" 600)
    add_test(NAME threads.pool
      COMMAND "${RUN_SPEC}" plain spec/project/embed_spec.lua --filter=thread_pool WORKING_DIRECTORY "${SOURCE_DIR}")
    set_tests_properties(threads.pool PROPERTIES LABELS threads TIMEOUT 300 FIXTURES_REQUIRED tsan ENVIRONMENT
      "LLAMA_CLOUD_BUILD=${CMAKE_CURRENT_BINARY_DIR};LLAMA_CLOUD_EMBED_BUILD=${CMAKE_CURRENT_BINARY_DIR}/tsan")
    add_test(NAME threads.race COMMAND "${CMAKE_CURRENT_BINARY_DIR}/tsan/threads" -race)
    set_tests_properties(threads.race PROPERTIES LABELS threads TIMEOUT 60 WILL_FAIL ON FIXTURES_REQUIRED tsan)
  endif()
else()
  message(STATUS "No sanitizer tests: they need GCC, and the compiler is ${CMAKE_C_COMPILER_ID}")
endif()

find_program(VALGRIND valgrind)
if(VALGRIND)
  # It looks at C. What computes in Lua, waits for most of its time, or reads the project's own files has little of it that
  # other specs have not, and asan has looked at that.
  set(VALGRIND_SPECS ${CORE_SPECS})
  list(FILTER VALGRIND_SPECS EXCLUDE REGEX "/spec/(base|cli|process|project|resources)/|/whole/process_faults_spec")
  list(FILTER VALGRIND_SPECS EXCLUDE REGEX
    "/(endpoint/(nearest|options|patience|silence|sweep|wait_all)|http/(date|decision|headers|log|pacing|retry|url))_spec[.]lua$")
  foreach(file IN LISTS VALGRIND_SPECS)
    add_spec(valgrind "${file}" 1200)
  endforeach()
else()
  message(STATUS "No valgrind tests: valgrind was not found")
endif()

add_test(NAME fuzz.short COMMAND "${SOURCE_DIR}/scripts/fuzz" 20)
set_tests_properties(fuzz.short PROPERTIES PROCESSORS 2 LABELS fuzz SKIP_RETURN_CODE 77 TIMEOUT 600 COST 1000)

add_test(NAME package.exports COMMAND "${SOURCE_DIR}/spec/packaging/exports" $<TARGET_FILE:core>)
add_test(NAME package.rock COMMAND "${SOURCE_DIR}/spec/packaging/rock")
add_test(NAME package.deb COMMAND "${SOURCE_DIR}/spec/packaging/deb")
add_test(NAME package.embed COMMAND "${RUN_SPEC}" plain spec/packaging/embed.lua WORKING_DIRECTORY "${SOURCE_DIR}")
set_tests_properties(package.embed PROPERTIES LABELS package TIMEOUT 300
  ENVIRONMENT "LLAMA_CLOUD_BUILD=${CMAKE_CURRENT_BINARY_DIR}")
set_tests_properties(package.exports PROPERTIES LABELS package TIMEOUT 60)
set_tests_properties(package.rock package.deb PROPERTIES PROCESSORS 2 LABELS package TIMEOUT 600 SKIP_RETURN_CODE 77)

foreach(tool clang-format luacheck stylua shellcheck layers)
  add_test(NAME lint.${tool} COMMAND "${SOURCE_DIR}/scripts/lint" ${tool})
  set_tests_properties(lint.${tool} PROPERTIES LABELS lint SKIP_RETURN_CODE 77 TIMEOUT 120)
endforeach()
foreach(tool clang-tidy cppcheck gcc)
  add_test(NAME lint.${tool} COMMAND "${SOURCE_DIR}/scripts/analyse" ${tool})
  set_tests_properties(lint.${tool} PROPERTIES PROCESSORS 2 LABELS lint SKIP_RETURN_CODE 77 TIMEOUT 600)
endforeach()
