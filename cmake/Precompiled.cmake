# Headers of others that many sources begin with, compiled once for all of them.
# SPDX-License-Identifier: BSD-3-Clause
#
# LibTorch's tensor takes a compiler some six seconds to read, GoogleTest two. Our own headers do not
# belong here: a change of one would compile everything again. Each source still includes what it
# uses; CMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without this file (the fuzz preset does).
#   target_precompile_headers(TARGET REUSE_FROM resnext_torch_headers)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # ccache asks for it
endif()

# resnext_headers(NAME HEADERS header... [LIBS target...] [OPTIONS option...]): an owner for REUSE_FROM.
# Its options and its position independence must be those of the targets that use it.
function(resnext_headers name)
  cmake_parse_arguments(H "" "" "HEADERS;LIBS;OPTIONS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE resnext_flags ${H_LIBS})
  target_compile_options(${name} PRIVATE ${H_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${H_HEADERS})
endfunction()

set(RESNEXT_STANDARD_HEADERS <algorithm> <chrono> <filesystem> <fstream> <functional> <map> <memory>
  <optional> <sstream> <string> <vector>)
set(RESNEXT_TORCH_HEADERS <ATen/core/Tensor.h> <ATen/core/grad_mode.h> <ATen/ops/empty.h>)
resnext_headers(resnext_torch_headers
  HEADERS ${RESNEXT_STANDARD_HEADERS} ${RESNEXT_TORCH_HEADERS} <spdlog/spdlog.h>
  LIBS resnext_libtorch spdlog::spdlog)
