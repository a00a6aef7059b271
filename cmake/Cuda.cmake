# Target resnext_cuda: CUDA's runtime, NCCL and cuDNN; and LibTorch's CUDA part in resnext_libtorch.
# SPDX-License-Identifier: BSD-3-Clause
#
# For the toolkit that the wheel was built with (13). Needs no GPU to build.
find_program(RESNEXT_NVCC nvcc HINTS ENV CUDACXX PATHS /usr/local/cuda/bin REQUIRED)
set(CMAKE_CUDA_COMPILER ${RESNEXT_NVCC} CACHE FILEPATH "")
set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
    "GPU architectures: machine code for A100 and H100, and PTX of the latter for newer ones")
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # the one that LibTorch loads
if(CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)  # CMake before 3.28 does not know C++20 for nvcc 13
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
find_package(CUDAToolkit 13 REQUIRED)

# Of the system or the toolkit, else of LibTorch's own wheels (which have no link without a version).
foreach(library nccl cudnn)
  string(TOUPPER ${library} _name)
  set(_wheel ${RESNEXT_WHEELS}/nvidia/${library})
  find_path(${_name}_INCLUDE_DIR ${library}.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} PATHS ${_wheel}/include REQUIRED)
  find_library(${_name}_LIBRARY NAMES ${library} lib${library}.so.2 lib${library}.so.9
    HINTS ${CUDAToolkit_LIBRARY_DIR} PATHS ${_wheel}/lib REQUIRED)
endforeach()
add_library(resnext_cuda INTERFACE)
target_include_directories(resnext_cuda SYSTEM INTERFACE
  ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR})
target_link_libraries(resnext_cuda INTERFACE CUDA::cudart ${NCCL_LIBRARY} ${CUDNN_LIBRARY})

# LibTorch finds its GPU code through libtorch_cuda.so being loaded, not through its symbols, so the
# linker must keep it even where none is used.
target_link_libraries(resnext_libtorch INTERFACE
  -Wl,--push-state,--no-as-needed ${RESNEXT_WHEELS}/torch/lib/libtorch_cuda.so -Wl,--pop-state
  ${RESNEXT_WHEELS}/torch/lib/libc10_cuda.so resnext_cuda)
list(APPEND CMAKE_BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})
list(APPEND CMAKE_INSTALL_RPATH ${CUDAToolkit_LIBRARY_DIR})
