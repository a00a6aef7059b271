# SPDX-License-Identifier: BSD-3-Clause
include(${CMAKE_CURRENT_LIST_DIR}/../../support/PythonTorch.cmake)

# For Clang only (preset fuzz): tests/model/fuzz_weights.sh runs it.
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_executable(weights_fuzz EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/weights_fuzz.cpp)
  target_link_libraries(weights_fuzz PRIVATE resnext_flags resnext_weights)
  target_link_options(weights_fuzz PRIVATE -fsanitize=fuzzer)
  set_target_properties(weights_fuzz PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/bin)
endif()

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
weights_test(weights_fuzz_test TIMEOUT 240)
target_sources(weights_fuzz_test PRIVATE ${CMAKE_CURRENT_LIST_DIR}/weights_fuzz.cpp)
