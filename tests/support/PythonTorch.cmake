# RESNEXT_TORCH_PYTHON: a Python that can import the wheel's torch; empty where there is none.
# SPDX-License-Identifier: BSD-3-Clause
#
# Without CUDA the set-up installs only the wheel's C++ part, so most machines have none; tests that
# ask PyTorch live are skipped there and compare with the files of tests/model and tests/model/weights instead.
# Called with PYTHONPATH=RESNEXT_LIBTORCH. Tried once; delete the cache entry to try again.
include_guard(GLOBAL)
find_program(RESNEXT_PYTHON3 NAMES python3 python)
if(NOT DEFINED RESNEXT_TORCH_PYTHON)
  set(_found "")
  if(RESNEXT_PYTHON3)
    execute_process(
      COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${RESNEXT_LIBTORCH} ${RESNEXT_PYTHON3} -c
              "import torch, numpy"
      RESULT_VARIABLE _status OUTPUT_QUIET ERROR_QUIET)
    if(_status EQUAL 0)
      set(_found ${RESNEXT_PYTHON3})
    endif()
  endif()
  set(RESNEXT_TORCH_PYTHON "${_found}" CACHE FILEPATH "Python that can import torch")
endif()
