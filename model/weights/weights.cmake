# SPDX-License-Identifier: BSD-3-Clause
# Target resnext_weights: weights files (state_dict.h). ISA-L gives the CRC-32 of zip records.
set(_weights
  atomic_file.cpp
  block_forms.cpp
  pickle_objects.cpp
  pickle_reader.cpp
  safetensors.cpp
  safetensors_header.cpp
  state_dict.cpp
  state_dict_source.cpp
  state_dict_writer.cpp
  state_dict_zip.cpp
  t7_network.cpp
  t7_reader.cpp
  tensor_loader.cpp
  weights_choice.cpp
  weights_export.cpp
  weights_fit.cpp
  weights_input.cpp
  weights_names.cpp)
list(TRANSFORM _weights PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_library(resnext_weights STATIC ${_weights})
target_link_libraries(resnext_weights PUBLIC resnext_common resnext_libtorch
                                      PRIVATE resnext_isal nlohmann_json::nlohmann_json)
target_precompile_headers(resnext_weights REUSE_FROM resnext_torch_headers)
