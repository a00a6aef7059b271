# Targets resnext_hwloc, resnext_hwy, resnext_isal, resnext_turbojpeg: libraries without a CMake package of their own.
# SPDX-License-Identifier: BSD-3-Clause
function(resnext_library name header)
  string(TOUPPER ${name} upper)
  find_library(${upper}_LIBRARY ${name} REQUIRED)
  find_path(${upper}_INCLUDE_DIR ${header} REQUIRED)
  add_library(resnext_${name} INTERFACE)
  target_include_directories(resnext_${name} SYSTEM INTERFACE ${${upper}_INCLUDE_DIR})
  target_link_libraries(resnext_${name} INTERFACE ${${upper}_LIBRARY})
endfunction()
resnext_library(hwloc hwloc.h)
resnext_library(hwy hwy/highway.h)
resnext_library(isal isa-l/crc.h)
resnext_library(turbojpeg turbojpeg.h)
