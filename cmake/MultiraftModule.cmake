# mr_module(NAME PUBLIC headers... SOURCES ... DEPS ... PRIVATE_DEPS ...): one folder of src/ as a
# static library mr_NAME.
#
# PUBLIC names the headers that other modules may include; the rest of the folder is private. A
# module is compiled with its own folder and with the public headers of its dependencies as include
# paths and nothing else, so that neither a private header of another module nor a header of a
# module that is not among the dependencies compiles. DEPS are modules whose headers occur in this
# module's public headers; PRIVATE_DEPS are used by its sources only, and do not reach its users.
set(MR_PUBLIC_ROOT ${CMAKE_BINARY_DIR}/include_roots/public)
set(MR_PRIVATE_ROOT ${CMAKE_BINARY_DIR}/include_roots/private)

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

# mr_public_headers(ROOT FOLDER headers...): links to headers of this folder, below ROOT/FOLDER.
function(mr_public_headers root folder)
  # What is no longer public must not stay visible in an old build directory.
  file(REMOVE_RECURSE ${root})
  file(MAKE_DIRECTORY ${root})
  foreach(header ${ARGN})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${header})
      message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}: there is no ${header}")
    endif()
    get_filename_component(parent ${root}/${folder}/${header} DIRECTORY)
    file(MAKE_DIRECTORY ${parent})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${header} ${root}/${folder}/${header} SYMBOLIC)
  endforeach()
endfunction()

function(mr_module name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  mr_public_headers(${MR_PUBLIC_ROOT}/${name} ${name} ${ARG_PUBLIC})
  file(MAKE_DIRECTORY ${MR_PRIVATE_ROOT}/${name})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${MR_PRIVATE_ROOT}/${name}/${name} SYMBOLIC)
  mr_instrument(ARG_SOURCES)
  add_library(mr_${name} STATIC ${ARG_SOURCES})
  target_include_directories(mr_${name} PRIVATE ${MR_PRIVATE_ROOT}/${name}
                             INTERFACE ${MR_PUBLIC_ROOT}/${name})
  target_link_libraries(mr_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS} mr_flags)
endfunction()

# mr_see_inside(TARGET): tests, fuzzers and benchmarks may include any header of src/.
function(mr_see_inside target)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src)
endfunction()

# mr_testing(NAME SOURCES ... DEPS ...): a library for tests: it sees inside, and so do its users.
function(mr_testing name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE mr_flags)
endfunction()

# mr_test(NAME SOURCES ... DEPS ... DEFINES ...): a GoogleTest binary, run by ctest as NAME. Everything
# about it is said here, because it does not exist where MULTIRAFT_TESTS is off.
function(mr_test name)
  if(NOT MULTIRAFT_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;DEFINES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE ${ARG_DEFINES})
  mr_see_inside(${name})
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
