# resnext_cost: the network's plan and what it costs, without Torch.
# SPDX-License-Identifier: BSD-3-Clause
add_library(resnext_cost STATIC ${CMAKE_CURRENT_LIST_DIR}/cost.cpp
                                ${CMAKE_CURRENT_LIST_DIR}/cost_profile.cpp
                                ${CMAKE_CURRENT_LIST_DIR}/model_defaults.cpp
                                ${CMAKE_CURRENT_LIST_DIR}/neighbours.cpp
                                ${CMAKE_CURRENT_LIST_DIR}/plan.cpp)
target_link_libraries(resnext_cost PUBLIC resnext_common)
