# Man pages and bash's completion of a program, made from what it says of itself when it is installed.
# SPDX-License-Identifier: BSD-3-Clause
#
# Run by cmake --install (see Install.cmake) with CMAKE_INSTALL_PREFIX, RESNEXT_PROGRAMS (files),
# RESNEXT_HELP2MAN (empty: no man pages) and RESNEXT_MANUAL, a folder to make them in.
function(_ask result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text RESULT_VARIABLE code ERROR_VARIABLE error)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${code}\n${error}")
  endif()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# A page for `program` with the words of a command (resnext_launcher-sweep-status.1), and one for each
# command that its help lists.
function(_make_pages program)
  _ask(help ${program} ${ARGN} --help)
  get_filename_component(name ${program} NAME)
  string(JOIN "-" page ${name} ${ARGN})
  string(REGEX MATCH "^[^\n]*[^.\n]" purpose "${help}")
  string(JOIN " " call ${program} ${ARGN})
  _ask(text ${RESNEXT_HELP2MAN} --no-info --section=1 "--name=${purpose}" "${call}")
  string(REPLACE "\"Subcommands:\"" "Commands" text "${text}")
  file(WRITE ${RESNEXT_MANUAL}/man1/${page}.1 "${text}")
  string(REGEX MATCH "\nSubcommands:\n.*" commands "${help}")
  string(REGEX MATCHALL "\n  [a-z0-9]+" commands "${commands}")
  foreach(command IN LISTS commands)
    string(STRIP "${command}" command)
    _make_pages(${program} ${ARGN} ${command})
  endforeach()
endfunction()

foreach(program IN LISTS RESNEXT_PROGRAMS)
  get_filename_component(name ${program} NAME)
  _ask(completion ${program} --completion)
  file(WRITE ${RESNEXT_MANUAL}/completions/${name} "${completion}")
  if(RESNEXT_HELP2MAN)
    _make_pages(${program})
  endif()
endforeach()
file(INSTALL ${RESNEXT_MANUAL}/completions
     DESTINATION ${CMAKE_INSTALL_PREFIX}/share/bash-completion)
if(RESNEXT_HELP2MAN)
  file(INSTALL ${RESNEXT_MANUAL}/man1 DESTINATION ${CMAKE_INSTALL_PREFIX}/share/man)
endif()
