# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/../support/PythonTorch.cmake)
resnext_test(weights_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/weights_test.cpp
             LIBS resnext_weights nlohmann_json::nlohmann_json TIMEOUT 120)
target_compile_definitions(weights_test PRIVATE
  RESNEXT_TORCH_PYTHON="${RESNEXT_TORCH_PYTHON}" RESNEXT_LIBTORCH="${RESNEXT_LIBTORCH}")
include(${CMAKE_CURRENT_LIST_DIR}/../support/golden.cmake)
resnext_test(rule_weights_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/rule_weights_test.cpp
             LIBS resnext_golden nlohmann_json::nlohmann_json)
