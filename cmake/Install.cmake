# cmake --install gives a tree that can be moved: bin/, libexec/, lib/resnext/ and share/.
# SPDX-License-Identifier: BSD-3-Clause
#
# The programs look for LibTorch's libraries in ../lib/resnext; the distribution's own (Open MPI, HDF5, ...)
# and, in a CUDA build, the toolkit's stay where the system has them.
set(_programs resnext_worker resnext_data resnext_launcher)
foreach(program IN LISTS _programs)
  if(TARGET ${program}_program)  # see Program.cmake
    install(TARGETS ${program} RUNTIME DESTINATION bin)
    install(TARGETS ${program}_program RUNTIME_DEPENDENCY_SET resnext_libraries
            RUNTIME DESTINATION libexec)
  elseif(TARGET ${program})
    install(TARGETS ${program} RUNTIME_DEPENDENCY_SET resnext_libraries
            RUNTIME DESTINATION bin)
  endif()
endforeach()
string(REGEX REPLACE "([][+.*()^$?|\\\\])" "\\\\\\1" _wheels "${RESNEXT_WHEELS}")
install(RUNTIME_DEPENDENCY_SET resnext_libraries
  POST_INCLUDE_REGEXES "^${_wheels}/"
  POST_EXCLUDE_REGEXES ".*"
  PRE_EXCLUDE_REGEXES "^libcuda\\.so"  # comes with the driver
  DIRECTORIES ${RESNEXT_WHEEL_LIBS}
  LIBRARY DESTINATION lib/resnext)
install(DIRECTORY configs/ DESTINATION share/resnext/configs FILES_MATCHING PATTERN "*.yaml")
install(DIRECTORY slurm/ DESTINATION share/resnext/slurm USE_SOURCE_PERMISSIONS
        FILES_MATCHING PATTERN "*.sh")
if(RESNEXT_CUDA)  # loaded by name, when a kernel is compiled at run time
  install(FILES ${RESNEXT_WHEELS}/torch/lib/libcaffe2_nvrtc.so DESTINATION lib/resnext)
endif()
install(FILES LICENSE DESTINATION share/doc/resnext RENAME copyright)
install(FILES README.md CHANGELOG.md DESTINATION share/doc/resnext)

# What the programs say of themselves, as man pages and completion.
find_program(RESNEXT_HELP2MAN help2man)
if(NOT RESNEXT_HELP2MAN)
  set(RESNEXT_HELP2MAN "")
  message(STATUS "help2man not found: cmake --install leaves the man pages out")
endif()
list(TRANSFORM _programs PREPEND ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/)
install(CODE "set(RESNEXT_PROGRAMS \"${_programs}\")
set(RESNEXT_HELP2MAN \"${RESNEXT_HELP2MAN}\")
set(RESNEXT_MANUAL \"${CMAKE_BINARY_DIR}/manual\")")
install(SCRIPT ${CMAKE_SOURCE_DIR}/cmake/Manual.cmake)
