// SPDX-License-Identifier: BSD-3-Clause
#include "worker/state/sealed_json.h"

#include <nlohmann/json.hpp>

#include "comm/common/error.h"
#include "data/container/checksum.h"

namespace resnext {
namespace {

using Json = nlohmann::ordered_json;

std::string layout(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

uint32_t checksum(const Json& json) {
  const std::string text = layout(json);
  return crc32c({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace

std::string seal(Json json) {
  json["crc32c"] = checksum(json);
  return layout(json);
}

Json unseal(const std::string& text, const std::string& path) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) {
    json.erase("crc32c");
    if (seal(json) == text) return json;
  }
  throw CheckpointError(path, "differs from its own checksum",
                        "name another checkpoint, or set run.resume to auto");
}

}  // namespace resnext
