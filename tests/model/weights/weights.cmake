# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/../../support/PythonTorch.cmake)
resnext_test(state_dict_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/state_dict_test.cpp
             LIBS resnext_weights nlohmann_json::nlohmann_json TIMEOUT 120)
target_compile_definitions(state_dict_test PRIVATE
  RESNEXT_TORCH_PYTHON="${RESNEXT_TORCH_PYTHON}" RESNEXT_LIBTORCH="${RESNEXT_LIBTORCH}")
