# Target resnext_libtorch: LibTorch from the PyPI wheel in RESNEXT_LIBTORCH.
# SPDX-License-Identifier: BSD-3-Clause
#
# The wheel's own CMake package is not used: it insists on a CUDA toolkit. Without CUDA only
# libtorch_cpu.so and libc10.so are linked, which need no more of CUDA than its runtime and CUPTI
# wheels; with CUDA, Cuda.cmake adds the rest.
if(NOT EXISTS ${RESNEXT_LIBTORCH}/torch/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch not found in ${RESNEXT_LIBTORCH}: run launcher/setup.sh first, or "
                      "set -DRESNEXT_LIBTORCH=DIR to the site-packages folder that holds torch/")
endif()
get_filename_component(RESNEXT_WHEELS ${RESNEXT_LIBTORCH} REALPATH)
set(_torch ${RESNEXT_WHEELS}/torch)
file(GLOB _nvidia_libs ${RESNEXT_WHEELS}/nvidia/*/lib)
set(RESNEXT_WHEEL_LIBS ${_torch}/lib ${_nvidia_libs})

add_library(resnext_libtorch INTERFACE)
# Searched after the system's headers: the wheel carries another version of fmt than spdlog's. Not
# by CUDA sources, which include no Torch header.
target_compile_options(resnext_libtorch INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${_torch}/include>"
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${_torch}/include/torch/csrc/api/include>")
target_link_libraries(resnext_libtorch INTERFACE ${_torch}/lib/libtorch_cpu.so
                                                 ${_torch}/lib/libc10.so)
# The wheel's libraries refer to others of CUDA that are not needed at run time.
target_link_options(resnext_libtorch INTERFACE -Wl,--allow-shlib-undefined)

# The old kind of run path (DT_RPATH) also serves the libraries that the wheel's libraries load.
add_link_options(-Wl,--disable-new-dtags)
set(CMAKE_BUILD_RPATH ${RESNEXT_WHEEL_LIBS})
set(CMAKE_INSTALL_RPATH $ORIGIN/../lib/resnext)
if(RESNEXT_CUDA)
  include(cmake/Cuda.cmake)
endif()
