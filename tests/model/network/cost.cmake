# SPDX-License-Identifier: BSD-3-Clause
resnext_test(model_cost_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/cost_test.cpp
  ${CMAKE_CURRENT_LIST_DIR}/cost_profile_test.cpp ${CMAKE_CURRENT_LIST_DIR}/neighbours_test.cpp LIBS resnext_cost)
