# resnext_test(NAME SOURCES file... [LIBS target...] [RANKS n...] [TIMEOUT seconds] [LABELS l...])
# SPDX-License-Identifier: BSD-3-Clause
#
# One test program from SOURCES with GoogleTest. Without RANKS it is run as it is (label "unit");
# with RANKS it is run under mpirun once for each count (label "ranks"), with the main() of
# tests/support/mpi_main.cpp, which starts MPI and fails the job when any rank's test failed.
# Tests are compiled with little optimisation, which takes a fifth less time, and with GoogleTest (and
# LibTorch where they use it) compiled once before them.
# No test can hang: each has a TIMEOUT (default 60 s). Tests without the label "gpu" see no GPU: what
# they expect are the CPU's bits.
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)  # in tests/: one precompiled header for libraries and programs
resnext_headers(resnext_test_headers
  HEADERS ${RESNEXT_STANDARD_HEADERS} <gtest/gtest.h> LIBS GTest::gtest
  OPTIONS ${RESNEXT_LIGHT_OPTIMISATION})
resnext_headers(resnext_torch_test_headers
  HEADERS ${RESNEXT_STANDARD_HEADERS} ${RESNEXT_TORCH_HEADERS} <gtest/gtest.h>
  LIBS resnext_libtorch GTest::gtest OPTIONS ${RESNEXT_LIGHT_OPTIMISATION})
set(RESNEXT_TORCH_TARGETS
  resnext_golden resnext_model resnext_reducer resnext_weights resnext_worker_lib)

function(resnext_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LIBS;RANKS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE resnext_flags ${T_LIBS} GTest::gtest)
  target_compile_options(${name} PRIVATE ${RESNEXT_LIGHT_OPTIMISATION})
  set(headers resnext_test_headers)
  foreach(library ${T_LIBS})
    if(library IN_LIST RESNEXT_TORCH_TARGETS)
      set(headers resnext_torch_test_headers)
    endif()
  endforeach()
  target_precompile_headers(${name} REUSE_FROM ${headers})
  set(environment "CUDA_VISIBLE_DEVICES=")
  if("gpu" IN_LIST T_LABELS)
    set(environment "")
  endif()
  target_compile_definitions(${name} PRIVATE
    RESNEXT_SOURCE_DIR="${CMAKE_SOURCE_DIR}" RESNEXT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/bin)
  if(NOT T_RANKS)
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES
      TIMEOUT ${T_TIMEOUT} LABELS "unit;${T_LABELS}" ENVIRONMENT "${environment}")
  else()
    target_link_libraries(${name} PRIVATE resnext_test_ranks)
    foreach(n ${T_RANKS})
      set(test ${name}.${n}_ranks)
      add_test(NAME ${test} COMMAND
        ${MPIEXEC_EXECUTABLE} --oversubscribe --bind-to none --mca mpi_yield_when_idle 1
        -np ${n} $<TARGET_FILE:${name}>)
      set_tests_properties(${test} PROPERTIES
        TIMEOUT ${T_TIMEOUT} PROCESSORS 2 LABELS "ranks;${T_LABELS}"
        ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1;${environment}")
    endforeach()
  endif()
endfunction()
