# Spack recipe; put it into a repository of yours as packages/resnext/package.py.
# SPDX-License-Identifier: BSD-3-Clause
from spack.package import *


class Resnext(CMakePackage):
    """MPI-based distributed training of ResNeXt, in C++ with LibTorch."""

    # There is no release yet: spack dev-build resnext@main in a checkout.
    version("main")

    variant("cuda", default=False, description="Compute on NVIDIA GPUs, communicate with NCCL")

    depends_on("cmake@3.22:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("help2man", type="build")
    depends_on("openmpi@4.1:")
    depends_on("hdf5@1.10:")
    depends_on("yaml-cpp")
    depends_on("spdlog")
    depends_on("fmt")
    depends_on("nlohmann-json")
    depends_on("cli11")
    depends_on("libjpeg-turbo")
    depends_on("libpng")
    depends_on("libwebp")
    depends_on("libtiff")
    depends_on("stb")
    depends_on("zlib-api")
    depends_on("highway")
    depends_on("hwloc@2:")
    depends_on("isa-l")
    depends_on("py-torch@2.11")
    depends_on("py-torch +cuda", when="+cuda")
    depends_on("cuda@13", when="+cuda")
    depends_on("nccl", when="+cuda")
    depends_on("gnuplot", type="run")  # resnext_launcher report --png

    def cmake_args(self):
        python = self.spec["python"].package
        torch = join_path(self.spec["py-torch"].prefix, python.platlib)
        return [
            self.define_from_variant("RESNEXT_CUDA", "cuda"),
            self.define("RESNEXT_TESTS", False),
            self.define("RESNEXT_LIBTORCH", torch),
        ]
