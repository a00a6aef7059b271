// The logs that srun writes one a rank: what rank 0 says reaches our own output too, and why a run
// failed is looked for in all of them. (mpirun copies every rank's lines by itself.)
//
// Local. A file that is not there yet, or cannot be read, is passed over.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace resnext {

class RankLogs {
 public:
  // FOLDER/rank-N.log; what is in them already is an earlier start's. Empty: there are none.
  explicit RankLogs(std::filesystem::path folder);

  // What rank 0 has written since the last call, whole lines; with `last`, all of it.
  std::string news_of_rank_0(bool last = false);

  // The first error line of each rank, those that say the same once, at most ten.
  std::vector<std::string> errors() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::string text_since(const std::string& name, uint64_t begin) const;

  std::filesystem::path folder_;
  std::map<std::string, uint64_t> begins_;  // bytes of each file before this start
  uint64_t told_ = 0;                       // bytes of rank 0's
};

}  // namespace resnext
