# cpack makes a Debian package of what cmake --install installs; for CPUs, or in a CUDA build for GPUs.
# SPDX-License-Identifier: BSD-3-Clause
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_NAME resnext)
if(RESNEXT_CUDA)  # CUDA itself is found where the toolkit has put it
  set(CPACK_PACKAGE_NAME resnext-cuda)
  set(CPACK_DEBIAN_PACKAGE_PROVIDES resnext)
  set(CPACK_DEBIAN_PACKAGE_CONFLICTS resnext)
endif()
set(CPACK_PACKAGE_VENDOR "the resnext trainer authors")
set(CPACK_PACKAGE_CONTACT "the resnext trainer authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "distributed training of ResNeXt image classifiers")
set(CPACK_PACKAGE_DESCRIPTION "Trains ResNeXt with one process a GPU or CPU slot, started by mpirun \
or Slurm: the programs resnext_worker, resnext_data and resnext_launcher, presets, job scripts, and \
LibTorch's libraries for them alone.")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
# Of the distribution's libraries dpkg-shlibdeps knows the packages.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${RESNEXT_WHEEL_LIBS})
set(CPACK_DEBIAN_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "bash-completion, gnuplot-nox")
include(CPack)
