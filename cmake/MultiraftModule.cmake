# mr_module(NAME SOURCES ... DEPS ...): one folder of src/ as a static library mr_NAME.
#
# Dependencies are PUBLIC and are the only include paths a module gets besides its own: each
# module exports a private include root that contains nothing but a link to itself, so that
# `#include "log/log.h"` in a module that does not depend on mr_log does not compile.
set(MR_INCLUDE_ROOT ${CMAKE_BINARY_DIR}/include_roots)

# Set by the preset `mutation` only: where scripts/mutate puts copies of sources with switches in
# them (tests/mutation). A copy takes the place of its source, and of its header where it is included.
set(MULTIRAFT_INSTRUMENTED "" CACHE PATH "Instrumented copies of sources, for scripts/mutate")
if(MULTIRAFT_INSTRUMENTED)
  include_directories(BEFORE ${MULTIRAFT_INSTRUMENTED}/src ${CMAKE_SOURCE_DIR}/tests/mutation)
endif()

# mr_instrument(VARIABLE): replaces the sources in this list that have an instrumented copy.
function(mr_instrument variable)
  if(NOT MULTIRAFT_INSTRUMENTED)
    return()
  endif()
  set(sources)
  foreach(source ${${variable}})
    cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}
               OUTPUT_VARIABLE folder)
    set(copy ${MULTIRAFT_INSTRUMENTED}/${folder}/${source})
    if(EXISTS ${copy})
      # Broken expressions deserve their warnings.
      set_source_files_properties(${copy} PROPERTIES COMPILE_OPTIONS -w)
      list(APPEND sources ${copy})
    else()
      list(APPEND sources ${source})
    endif()
  endforeach()
  set(${variable} ${sources} PARENT_SCOPE)
endfunction()

function(mr_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set(root ${MR_INCLUDE_ROOT}/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  mr_instrument(ARG_SOURCES)
  if(ARG_SOURCES)
    add_library(mr_${name} STATIC ${ARG_SOURCES})
    target_include_directories(mr_${name} PUBLIC ${root})
    target_link_libraries(mr_${name} PUBLIC ${ARG_DEPS} PRIVATE mr_flags)
  else()
    add_library(mr_${name} INTERFACE)
    target_include_directories(mr_${name} INTERFACE ${root})
    target_link_libraries(mr_${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# mr_test(NAME SOURCES ... DEPS ...): a GoogleTest binary, run by ctest as NAME.
function(mr_test name)
  if(NOT MULTIRAFT_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} mr_flags GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# mr_binary(NAME SOURCES ... DEPS ...): an executable in build/<preset>/bin.
function(mr_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} mr_flags)
endfunction()
