# resnext_export: trained networks for other programs.
# SPDX-License-Identifier: BSD-3-Clause
set(_export network_export.cpp onnx.cpp t7_network_writer.cpp t7_writer.cpp)
list(TRANSFORM _export PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_library(resnext_export STATIC ${_export})
target_link_libraries(resnext_export PUBLIC resnext_cost resnext_weights)
target_compile_definitions(resnext_export PRIVATE RESNEXT_VERSION="${PROJECT_VERSION}")
