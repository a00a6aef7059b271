# SPDX-License-Identifier: BSD-3-Clause
# Target resnext_golden: the weights rule and the reader of PyTorch's numbers, for parity tests.
include_guard(GLOBAL)
add_library(resnext_golden STATIC ${CMAKE_CURRENT_LIST_DIR}/golden.cpp
                                  ${CMAKE_CURRENT_LIST_DIR}/rule_weights.cpp)
target_link_libraries(resnext_golden PUBLIC resnext_flags resnext_libtorch
                                     PRIVATE nlohmann_json::nlohmann_json)
