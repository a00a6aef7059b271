// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_set>

#include "model/weights/weights_names.h"

namespace resnext {
namespace {

constexpr size_t kMaxTensors = 65536;
constexpr size_t kMaxDimensions = 64;
constexpr std::string_view kMetadata = "__metadata__";

struct Dtype {
  std::string_view name;
  c10::ScalarType dtype;
};
constexpr Dtype kDtypes[] = {{"F64", c10::ScalarType::Double}, {"F32", c10::ScalarType::Float},
                             {"F16", c10::ScalarType::Half},   {"BF16", c10::ScalarType::BFloat16},
                             {"I64", c10::ScalarType::Long},   {"I32", c10::ScalarType::Int},
                             {"I16", c10::ScalarType::Short},  {"I8", c10::ScalarType::Char},
                             {"U8", c10::ScalarType::Byte},    {"BOOL", c10::ScalarType::Bool}};

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument(what);
}

// Takes the parser's events (nlohmann's SAX interface): only the three levels of the format.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<SafetensorsEntry> entries;

  bool start_object(std::size_t) override {
    if (++depth_ > 2 || !field_.empty()) refuse("its header is nested too deeply");
    fields_ = 0;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) finish_entry();
    in_metadata_ = false;
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      begin_entry(text);
    } else if (!in_metadata_) {
      begin_field(text);
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_array_ || (field_ != "shape" && field_ != "data_offsets")) {
      refuse("its header has a list where none belongs");
    }
    return in_array_ = true;
  }
  bool end_array() override {
    in_array_ = false;
    field_.clear();
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) refuse("its header has a number where none belongs");
    if (field_ == "data_offsets") {
      if (entries.back().offsets.size() == 2) refuse("its header has more than two offsets");
      entries.back().offsets.push_back(value);
    } else {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
          entries.back().shape.size() == kMaxDimensions) {
        refuse("its header has a shape that no tensor has");
      }
      entries.back().shape.push_back(static_cast<int64_t>(value));
    }
    return true;
  }
  bool string(string_t& text) override {
    if (in_metadata_ && depth_ == 2) return true;
    if (field_ != "dtype" || in_array_) refuse("its header has a text where none belongs");
    entries.back().dtype = text.substr(0, 16);
    field_.clear();
    return true;
  }
  bool null() override { refuse("its header has a null"); }
  bool boolean(bool) override { refuse("its header has a truth value"); }
  bool number_integer(number_integer_t) override { refuse("its header has a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    refuse("its header has a number that is not whole");
  }
  bool binary(binary_t&) override { refuse("its header has binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    refuse("its header is not JSON at byte " + std::to_string(position));
  }

 private:
  void begin_entry(const std::string& name) {
    if (name == kMetadata) {
      if (seen_metadata_) refuse("its header has two __metadata__");
      seen_metadata_ = in_metadata_ = true;
      return;
    }
    if (entries.size() == kMaxTensors) refuse("it has more than 65536 tensors");
    if (!names_.insert(name).second) refuse("it has two tensors '" + readable(name) + "'");
    entries.emplace_back().name = name;
  }

  void begin_field(const std::string& name) {
    constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
    const auto found = std::ranges::find(kFields, name);
    if (found == std::end(kFields)) refuse("its header has a field '" + readable(name) + "'");
    const unsigned bit = 1u << (found - std::begin(kFields));
    if ((fields_ & bit) != 0) refuse("its header has a field '" + name + "' twice");
    fields_ |= bit;
    field_ = name;
  }

  void finish_entry() {
    if (fields_ == 7 && entries.back().offsets.size() == 2) return;
    refuse("tensor '" + readable(entries.back().name) + "' lacks dtype, shape or data_offsets");
  }

  int depth_ = 0;
  bool in_array_ = false, in_metadata_ = false, seen_metadata_ = false;
  unsigned fields_ = 0;
  std::string field_;
  std::unordered_set<std::string> names_;
};

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json) {
  HeaderEvents events;
  nlohmann::json::sax_parse(json.begin(), json.end(), &events);
  return std::move(events.entries);
}

std::optional<c10::ScalarType> safetensors_dtype(std::string_view name) {
  const auto found = std::ranges::find(kDtypes, name, &Dtype::name);
  if (found == std::end(kDtypes)) return std::nullopt;
  return found->dtype;
}

std::string_view safetensors_name(c10::ScalarType dtype) {
  const auto found = std::ranges::find(kDtypes, dtype, &Dtype::dtype);
  return found == std::end(kDtypes) ? std::string_view() : found->name;
}

}  // namespace resnext
