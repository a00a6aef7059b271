# Builds the report page's texts, and Chart.js of the distribution, into resnext_launcher_lib.
# SPDX-License-Identifier: BSD-3-Clause
find_file(RESNEXT_CHART_SCRIPT chart.min.js
          PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist NO_DEFAULT_PATH)
find_file(RESNEXT_CHART_LICENCE NAMES copyright LICENSE.md
          PATHS /usr/share/doc/libjs-chart.js /usr/share/nodejs/chart.js NO_DEFAULT_PATH)
if(NOT RESNEXT_CHART_SCRIPT OR NOT RESNEXT_CHART_LICENCE)
  message(FATAL_ERROR "Chart.js 3 not found: run launcher/setup.sh (package libjs-chart.js), or set "
                      "-DRESNEXT_CHART_SCRIPT=FILE and -DRESNEXT_CHART_LICENCE=FILE")
endif()
set(_page ${CMAKE_CURRENT_SOURCE_DIR}/page)
set(_source "// Made by cmake/ReportAssets.cmake.\n#include \"launcher/report_assets.h\"\n")
set(_files)
function(_embed name file)
  string(APPEND _source "
extern \"C\" const char ${name}_begin[];
extern \"C\" const char ${name}_end[];
asm(\".section .rodata\\n${name}_begin: .incbin \\\"${file}\\\"\\n${name}_end: .byte 0\\n.previous\\n\");
const std::string_view resnext::${name}{${name}_begin, static_cast<size_t>(${name}_end - ${name}_begin)};
")
  set(_source "${_source}" PARENT_SCOPE)
  set(_files ${_files} ${file} PARENT_SCOPE)
endfunction()
_embed(kReportStyle ${_page}/report.css)
_embed(kReportBody ${_page}/report.html)
_embed(kReportScript ${_page}/report.js)
_embed(kChartScript ${RESNEXT_CHART_SCRIPT})
_embed(kChartLicence ${RESNEXT_CHART_LICENCE})
set(_assets ${CMAKE_CURRENT_BINARY_DIR}/report_assets.cpp)
file(CONFIGURE OUTPUT ${_assets} CONTENT "${_source}" @ONLY)
set_source_files_properties(${_assets} PROPERTIES OBJECT_DEPENDS "${_files}")
target_sources(resnext_launcher_lib PRIVATE ${_assets})
