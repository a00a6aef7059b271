# resnext_program(NAME LIB SOURCES...): a program that keeps stop requests from its first instruction on.
# SPDX-License-Identifier: BSD-3-Clause
#
# bin/NAME is a small static program that blocks the stop signals and becomes libexec/NAME_program, a
# target of that name. Building NAME builds both.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LINK_OPTIONS -static)
check_cxx_source_compiles("int main() { return 0; }" RESNEXT_STATIC_PROGRAMS)
unset(CMAKE_REQUIRED_LINK_OPTIONS)

function(resnext_program name lib)
  add_executable(${name}_program ${ARGN})
  target_link_libraries(${name}_program PRIVATE ${lib})
  set_target_properties(${name}_program PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/libexec)
  # Without the project's flags: no sanitizer works in a static program, and none is needed.
  add_executable(${name} ${CMAKE_SOURCE_DIR}/comm/common/start_program.cpp)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wshadow)
  if(RESNEXT_STATIC_PROGRAMS)
    target_link_options(${name} PRIVATE -static)
  endif()
  set_target_properties(${name} PROPERTIES BUILD_RPATH "" INSTALL_RPATH "" SKIP_BUILD_RPATH ON)
  add_dependencies(${name} ${name}_program)
endfunction()
