// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/programs.h"

#include <filesystem>

#include "comm/common/error.h"

namespace resnext {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::string this_program() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path folder = program.parent_path();
  if (folder.filename() != "libexec") return program.string();
  return (folder.parent_path() / "bin/resnext_launcher").string();
}

std::string program_beside(const std::string& name) {
  const fs::path program = fs::path(this_program()).parent_path() / name;
  if (fs::exists(program)) return program.string();
  throw ConfigError(program.string(), "is missing", "build or install it beside resnext_launcher");
}

std::string job_script(const std::string& name) {
  const fs::path bin = fs::path(this_program()).parent_path();
  if (fs::path installed = bin.parent_path() / "share/resnext/slurm" / name;
      fs::exists(installed)) {
    return installed.string();
  }
  for (fs::path folder = bin; folder != folder.parent_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "slurm" / name)) return (folder / "slurm" / name).string();
  }
  throw ConfigError("slurm/" + name, "is not found near " + bin.string(),
                    "name the batch script with --script");
}

}  // namespace resnext
