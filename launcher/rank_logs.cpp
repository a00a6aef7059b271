// SPDX-License-Identifier: BSD-3-Clause
#include "launcher/rank_logs.h"

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace resnext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRank0 = "rank-0.log";

// Sizes by name.
std::map<std::string, uint64_t> logs_in(const fs::path& folder) {
  std::map<std::string, uint64_t> sizes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const auto size = entry.file_size(error);
    if (!error && name.starts_with("rank-") && name.ends_with(".log")) sizes[name] = size;
  }
  return sizes;
}

}  // namespace

RankLogs::RankLogs(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  begins_ = logs_in(folder_);
  told_ = begins_[kRank0];
}

std::string RankLogs::text_since(const std::string& name, uint64_t begin) const {
  std::ifstream stream(folder_ / name, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(begin));
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string RankLogs::news_of_rank_0(bool last) {
  if (folder_.empty()) return "";
  std::string text = text_since(kRank0, told_);
  if (!last) text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  told_ += text.size();
  return text;
}

std::vector<std::string> RankLogs::errors() const {
  constexpr size_t kMost = 10;
  constexpr std::string_view kError = " error ";
  std::vector<std::string> lines;
  if (folder_.empty()) return lines;
  std::set<std::string> said;
  for (const auto& [name, size] : logs_in(folder_)) {
    const auto begin = begins_.find(name);
    std::istringstream stream(text_since(name, begin == begins_.end() ? 0 : begin->second));
    for (std::string line; std::getline(stream, line);) {
      const auto at = line.find(kError);
      if (at == line.npos) continue;
      if (lines.size() < kMost && said.insert(line.substr(at)).second) {
        lines.push_back(name + ": " + line.substr(at + kError.size()));
      }
      break;
    }
  }
  return lines;
}

}  // namespace resnext
