// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/parallel_pack.h"

#include <utility>

#include "comm/common/error.h"
#include "data/image/image_decoder.h"
#include "data/loader/ordered_parallel.h"

namespace resnext {
namespace {

// What one input becomes, or its name and why it cannot.
struct Packed {
  std::vector<uint8_t> bytes;
  std::string damage;
};

Packed pack_input(const PackInputs& inputs, int64_t input) try {
  return {inputs.sample_of(input), {}};
} catch (const DamagedImage& error) {
  return {{}, inputs.name_of(input) + ": " + error.what()};
} catch (const DataError& error) {
  return {{}, error.what()};
}

PackIdentity identity_of(const PackInputs& inputs, const PackingOptions& options) {
  PackIdentity identity = inputs.identity;
  identity.emplace_back("--jpeg", options.croppable ? "croppable" : "unchanged");
  identity.emplace_back("--on-error", options.skip_damaged ? "skip" : "fail");
  identity.emplace_back("order", describe_order(options, "as in the source"));
  return identity;
}

// Takes what the inputs become, in order; remembers which could not be used.
class Packing {
 public:
  Packing(const PackInputs& inputs, const PackingOptions& options, const std::string& out,
          const PackObserver& observer)
      : inputs_(inputs),
        options_(options),
        observer_(observer),
        order_(packing_order(options, inputs.count)),
        pack_(
            out, identity_of(inputs, options),
            [this](int64_t i) { return inputs_.label_of(input(i)); }, options, observer) {
    for (const auto& [i, damage] : pack_.left_out()) tell(damage);
  }

  int64_t done() const { return pack_.done(); }
  // The i-th to be packed.
  int64_t input(int64_t i) const { return order_[static_cast<size_t>(i)]; }

  void add(const Packed& packed) {
    if (packed.damage.empty()) return pack_.add(packed.bytes);
    pack_.leave_out(packed.damage);
    tell(packed.damage);
  }

  void finish(const ContainerDescription& description) {
    const std::string damaged = std::to_string(damaged_) + " damaged " + inputs_.noun;
    if (damaged_ > kNamed) {
      observer_.warning("and " + std::to_string(damaged_ - kNamed) + " more");
    }
    if (damaged_ > 0 && (!options_.skip_damaged || pack_.samples() == 0)) {
      throw DataError(inputs_.source, "has " + damaged + ", the first " + first_,
                      options_.skip_damaged ? "check the source"
                                            : "remove them, or leave them out: --on-error skip");
    }
    if (damaged_ > 0) observer_.warning(damaged + " are left out");
    pack_.finish(description);
  }

  void discard() { pack_.discard(); }

 private:
  static constexpr int64_t kNamed = 1000;

  void tell(const std::string& damage) {
    if (damaged_ == 0) first_ = damage;
    if (++damaged_ <= kNamed) observer_.warning(damage);
  }

  const PackInputs& inputs_;
  const PackingOptions& options_;
  const PackObserver& observer_;
  const std::vector<int64_t> order_;
  ResumablePack pack_;
  int64_t damaged_ = 0;
  std::string first_;
};

}  // namespace

void pack_inputs(const PackInputs& inputs, ContainerDescription description,
                 const PackingOptions& options, const std::string& out,
                 const PackObserver& observer) {
  if (options.threads < 1) throw ConfigError("--threads", "must be positive", "give 1 or more");
  description.order = describe_order(options, description.order);
  Packing packing(inputs, options, out, observer);
  const int64_t first = packing.done();
  const auto produce = [&](int64_t i) { return pack_input(inputs, packing.input(first + i)); };
  try {
    ordered_parallel(inputs.count - first, options.threads, produce,
                     [&](int64_t i, const Packed& packed) {
                       packing.add(packed);
                       observer.progress(first + i + 1, inputs.count);
                     });
    inputs.check_source();
    packing.finish(description);
  } catch (const DataError&) {
    packing.discard();
    throw;
  }
}

}  // namespace resnext
