# SPDX-License-Identifier: BSD-3-Clause
# Target resnext_weights: weights files (state_dict.h). ISA-L gives the CRC-32 of zip records.
add_library(resnext_weights STATIC
  ${CMAKE_CURRENT_LIST_DIR}/state_dict.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pickle_reader.cpp
  ${CMAKE_CURRENT_LIST_DIR}/state_dict_input.cpp
  ${CMAKE_CURRENT_LIST_DIR}/state_dict_source.cpp
  ${CMAKE_CURRENT_LIST_DIR}/state_dict_writer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/state_dict_zip.cpp)
target_link_libraries(resnext_weights PUBLIC resnext_common resnext_libtorch
                                      PRIVATE resnext_isal)
