# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/../../support/PythonTorch.cmake)

# weights_test(NAME [LIBS target...] [TIMEOUT seconds]): NAME.cpp, which may ask PyTorch live.
function(weights_test name)
  cmake_parse_arguments(T "" "TIMEOUT" "LIBS" ${ARGN})
  resnext_test(${name} SOURCES ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.cpp
               LIBS resnext_weights ${T_LIBS} TIMEOUT ${T_TIMEOUT})
  target_compile_definitions(${name} PRIVATE
    RESNEXT_PYTHON3="${RESNEXT_PYTHON3}" RESNEXT_TORCH_PYTHON="${RESNEXT_TORCH_PYTHON}" RESNEXT_LIBTORCH="${RESNEXT_LIBTORCH}")
endfunction()

weights_test(state_dict_test LIBS nlohmann_json::nlohmann_json TIMEOUT 240)
weights_test(checkpoint_test TIMEOUT 120)
weights_test(safetensors_test LIBS nlohmann_json::nlohmann_json TIMEOUT 120)
weights_test(t7_test TIMEOUT 120)
weights_test(weights_fit_test TIMEOUT 60)
