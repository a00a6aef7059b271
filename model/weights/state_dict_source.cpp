// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights/state_dict_source.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "model/weights/state_dict_zip.h"

namespace resnext {
namespace {

// The pickles of ResNeXt-152 take 0.2 MB; nothing near this is a state_dict.
constexpr uint64_t kMaxPickleBytes = uint64_t{64} << 20;

// What the objects of a file's pickles may take in memory.
uint64_t object_budget(const WeightsInput& input) {
  return (uint64_t{16} << 20) + 4 * input.size();
}

// The number 0x1950a86a20f9469cfc6c, LONG1 and its digits, with which the older format begins:
// behind the pickle's protocol and, from protocol 4 on, the length of its frame.
constexpr std::string_view kLegacyMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
constexpr uint64_t kMagicOffsets[] = {2, 11};
constexpr int64_t kLegacyProtocol = 1001;

// With which the text begins that stands in place of a file (Git LFS, docs/spec.md).
constexpr std::string_view kLfsPointer = "version https://git-lfs";

class ZipSource final : public StateDictSource {
 public:
  explicit ZipSource(WeightsInput input)
      : input_(std::move(input)),
        zip_(input_),
        pickle_(read_pickle()),
        reader_(pickle_, input_.path(), object_budget(input_)) {
    if (zip_.has("byteorder") && zip_.read("byteorder") != "little") {
      input_.fail("has another byte order than this machine");
    }
    root_ = &reader_.read();
  }

  const PickleValue& root() const override { return *root_; }

  void read_storage(const SavedStorage& storage, void* target) const override {
    zip_.read("data/" + storage.key, target);
  }

  void check_storage(const SavedStorage& storage) const override {
    if (zip_.size_of("data/" + storage.key) != storage_bytes(storage)) {
      input_.fail("is corrupt: record 'data/" + storage.key + "' has another size than its tensor");
    }
  }

 private:
  std::string read_pickle() const {
    if (!zip_.has("data.pkl") || zip_.size_of("data.pkl") > kMaxPickleBytes) {
      input_.fail("has no usable record 'data.pkl'");
    }
    return zip_.read("data.pkl");
  }

  WeightsInput input_;
  StateDictZip zip_;
  std::string pickle_;
  PickleReader reader_;
  const PickleValue* root_ = nullptr;
};

class LegacySource final : public StateDictSource {
 public:
  explicit LegacySource(WeightsInput input)
      : input_(std::move(input)),
        head_(input_.read(0, std::min(input_.size(), kMaxPickleBytes))),
        reader_(head_, input_.path(), object_budget(input_)),
        keys_reader_({}, input_.path(), 0) {
    reader_.read();  // the magic number, which recognises() compared
    const auto* protocol = reader_.read().get_if<int64_t>();
    if (protocol == nullptr || *protocol != kLegacyProtocol) {
      input_.fail("has an unknown version of the format before PyTorch 1.6");
    }
    check_byte_order(reader_.read());
    root_ = &reader_.read();
    keys_reader_ = PickleReader(std::string_view(head_).substr(reader_.position()), input_.path(),
                                object_budget(input_));
    locate_storages(keys_reader_.read());
  }

  static bool recognises(const WeightsInput& input) {
    return std::ranges::any_of(kMagicOffsets, [&](uint64_t offset) {
      return input.size() >= offset + kLegacyMagic.size() && input.read(0, 1) == "\x80" &&
             input.read(offset, kLegacyMagic.size()) == kLegacyMagic;
    });
  }

  const PickleValue& root() const override { return *root_; }

  void read_storage(const SavedStorage& storage, void* target) const override {
    input_.read(offsets_.at(storage.key), target, storage_bytes(storage));
  }

  void check_storage(const SavedStorage& storage) const override {
    if (!offsets_.contains(storage.key)) {
      input_.fail("is corrupt: the bytes of storage '" + storage.key + "' are missing");
    }
  }

 private:
  void check_byte_order(const PickleValue& system) const {
    const auto* dict = system.get_if<PickleDict>();
    if (dict == nullptr) input_.fail("is corrupt: its system information is damaged");
    for (const auto& [key, value] : dict->items) {
      const auto* name = key->get_if<std::string_view>();
      const auto* flag = value->get_if<bool>();
      if (name == nullptr || *name != "little_endian") continue;
      if (flag == nullptr || !*flag) input_.fail("has another byte order than this machine");
    }
  }

  void locate_storages(const PickleValue& keys) {
    uint64_t cursor = reader_.position() + keys_reader_.position();
    const auto* list = keys.get_if<PickleList>();
    if (list == nullptr) input_.fail("is corrupt: its list of storages is damaged");
    for (const PickleValue* item : list->items) {
      const auto* key = item->get_if<std::string_view>();
      const auto known = key == nullptr ? reader_.storages().end() : reader_.storages().find(*key);
      if (known == reader_.storages().end()) input_.fail("is corrupt: it has an unused storage");
      int64_t numel = 0;
      input_.read(cursor, &numel, sizeof numel);
      cursor += sizeof numel;
      const uint64_t bytes = storage_bytes(known->second);
      if (numel != known->second.numel || bytes > input_.size() - cursor) {
        input_.fail("is truncated or corrupt: storage '" + std::string(*key) +
                    "' has another size");
      }
      if (!offsets_.emplace(*key, cursor).second) input_.fail("is corrupt: a storage comes twice");
      cursor += bytes;
    }
  }

  WeightsInput input_;
  std::string head_;
  PickleReader reader_;
  PickleReader keys_reader_;
  const PickleValue* root_ = nullptr;
  std::unordered_map<std::string_view, uint64_t> offsets_;
};

}  // namespace

std::unique_ptr<StateDictSource> open_state_dict(WeightsInput input) {
  if (StateDictZip::recognises(input)) return std::make_unique<ZipSource>(std::move(input));
  if (LegacySource::recognises(input)) return std::make_unique<LegacySource>(std::move(input));
  const std::string head = input.read(0, std::min<uint64_t>(input.size(), kLfsPointer.size()));
  if (head == kLfsPointer) {
    input.fail("is a pointer of Git LFS: `git lfs pull` brings the file itself");
  }
  if (head.starts_with('{')) {
    input.fail("is JSON, as the index of weights in several files is: join them to one");
  }
  input.fail("is not a file of torch.save(), safetensors or Torch7");
}

}  // namespace resnext
