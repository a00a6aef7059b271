# cmake --install gives a tree that can be moved: bin/, libexec/, lib/ and share/resnext/.
# SPDX-License-Identifier: BSD-3-Clause
#
# The programs look for LibTorch's libraries in ../lib; the distribution's own (Open MPI, HDF5, ...)
# and, in a CUDA build, the toolkit's stay where the system has them.
foreach(program resnext_worker resnext_data resnext_launcher)
  if(TARGET ${program}_program)  # see Program.cmake
    install(TARGETS ${program} RUNTIME DESTINATION bin)
    install(TARGETS ${program}_program RUNTIME_DEPENDENCY_SET resnext_libraries
            RUNTIME DESTINATION libexec)
  elseif(TARGET ${program})
    install(TARGETS ${program} RUNTIME_DEPENDENCY_SET resnext_libraries
            RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()
string(REGEX REPLACE "([][+.*()^$?|\\\\])" "\\\\\\1" _wheels "${RESNEXT_WHEELS}")
install(RUNTIME_DEPENDENCY_SET resnext_libraries
  POST_INCLUDE_REGEXES "^${_wheels}/"
  POST_EXCLUDE_REGEXES ".*"
  PRE_EXCLUDE_REGEXES "^libcuda\\.so"  # comes with the driver
  DIRECTORIES ${RESNEXT_WHEEL_LIBS}
  LIBRARY DESTINATION lib)
install(DIRECTORY configs/ DESTINATION share/resnext/configs FILES_MATCHING PATTERN "*.yaml")
install(DIRECTORY slurm/ DESTINATION share/resnext/slurm USE_SOURCE_PERMISSIONS
        FILES_MATCHING PATTERN "*.sh")
if(RESNEXT_CUDA)  # loaded by name, when a kernel is compiled at run time
  install(FILES ${RESNEXT_WHEELS}/torch/lib/libcaffe2_nvrtc.so DESTINATION lib)
endif()
