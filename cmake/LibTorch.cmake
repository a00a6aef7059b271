# Target resnext_libtorch: LibTorch from the PyPI wheel in RESNEXT_LIBTORCH.
# SPDX-License-Identifier: BSD-3-Clause
#
# With CUDA the wheel's own package is used. Without, only libtorch_cpu.so and libc10.so are linked:
# the wheel's package insists on a CUDA toolkit, and those two need no more of CUDA than its
# runtime and CUPTI wheels.
if(NOT EXISTS ${RESNEXT_LIBTORCH}/torch/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch not found in ${RESNEXT_LIBTORCH}: run launcher/setup.sh first, or "
                      "set -DRESNEXT_LIBTORCH=DIR to the site-packages folder that holds torch/")
endif()
set(_torch ${RESNEXT_LIBTORCH}/torch)
add_library(resnext_libtorch INTERFACE)
if(RESNEXT_CUDA)
  include(cmake/Cuda.cmake)
else()
  target_link_libraries(resnext_libtorch INTERFACE ${_torch}/lib/libtorch_cpu.so
                                                   ${_torch}/lib/libc10.so)
endif()
target_include_directories(resnext_libtorch SYSTEM INTERFACE
  ${_torch}/include ${_torch}/include/torch/csrc/api/include)
# The wheel's libraries refer to others of CUDA that are not needed at run time.
target_link_options(resnext_libtorch INTERFACE -Wl,--allow-shlib-undefined)
file(GLOB _nvidia_libs ${RESNEXT_LIBTORCH}/nvidia/*/lib)
set(CMAKE_BUILD_RPATH ${_torch}/lib ${_nvidia_libs})
