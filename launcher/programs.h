// Where this project's other programs and files are, seen from the launcher's own place.
//
// Local. Throws ConfigError when something is missing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace resnext {

// Full path of the launcher itself: bin/resnext_launcher, which becomes that of libexec/.
std::string this_program();

// Full path of a program that is built and installed beside the launcher.
std::string program_beside(const std::string& name);

// Full path of slurm/NAME: of an install tree, else of the source tree that holds the build.
std::string job_script(const std::string& name);

}  // namespace resnext
