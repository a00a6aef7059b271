// A ring of batch buffers, filled by decoder threads and emptied in order by next().
//
// One mutex guards all positions. Micro-batches are planned in order; a thread takes a few samples
// of the oldest planned micro-batch at a time, so that all threads work on what is needed first.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/loader/data_loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/common/error.h"
#include "data/image/image_decoder.h"
#include "data/loader/read_ahead.h"
#include "data/loader/worker_threads.h"

namespace resnext {
namespace {

constexpr size_t kAlignment = 64;

std::shared_ptr<std::byte> allocate_aligned(size_t bytes) {
  auto* memory = static_cast<std::byte*>(::operator new(bytes, std::align_val_t(kAlignment)));
  return {memory, [](std::byte* p) { ::operator delete(p, std::align_val_t(kAlignment)); }};
}

// One buffer of the ring and the micro-batch that it holds or is being filled with.
struct Slot {
  std::shared_ptr<std::byte> memory;
  std::vector<int64_t> labels;
  std::shared_ptr<const std::vector<int64_t>> order;  // of the micro-batch's epoch
  Share share;                                        // of the images that are behind the epoch's
  const Recipe* recipe = nullptr;                     // of the epoch
  int64_t batch_begin = 0;                            // image with which the global batch begins
  int64_t epoch = 0;
  int64_t taken = 0;  // samples handed to threads
  int64_t done = 0;   // samples finished
  int64_t failed_at = 0;
  std::exception_ptr error;  // of the first sample, in order, that failed

  int64_t count() const { return share.end - share.begin; }
  uint8_t* pixels() const { return reinterpret_cast<uint8_t*>(memory.get()); }
};

// Samples [first, last) of a slot, to be decoded by one thread.
struct Task {
  Slot* slot = nullptr;
  int64_t first = 0;
  int64_t last = 0;
};

std::vector<Recipe> recipes_of(const Recipe& recipe, const LoaderOptions& options) {
  std::vector<Recipe> recipes;
  for (const EarlySize& early : options.early_sizes)
    recipes.push_back(recipe.with_size(early.size));
  return recipes;
}

std::optional<SampleOrder> own_order(const LoaderOptions& options) {
  if (!options.training) return std::nullopt;
  return SampleOrder{options.seed, options.shuffle, options.repeats};
}

void check_options(const LoaderOptions& options) {
  const auto positive = [](int64_t value, const char* key) {
    if (value <= 0) throw ConfigError(key, "must be positive", "give 1 or more");
  };
  positive(options.per_rank, "batch.per_rank");
  positive(options.accumulation, "batch.accumulation");
  positive(options.threads, "data.threads");
  positive(options.prefetch, "data.prefetch");
  positive(options.repeats, "data.repeats");
}

}  // namespace

struct DataLoader::Impl {
  const Container& container;
  const Recipe recipe;
  const std::vector<Recipe> early_recipes;  // of options.early_sizes
  const LoaderOptions options;
  const Sampler own_sampler;
  std::optional<Sampler> first_sampler;  // of first_epoch, where start() was given its order
  int64_t first_epoch = 0;
  const int64_t grain;  // samples of a task

  std::mutex mutex;
  std::condition_variable work;   // for the threads: something to do, or stop
  std::condition_variable ready;  // for next() and start(): a slot is complete, a thread is idle
  std::vector<Slot> slots;
  bool stopping = false;
  bool started = false;
  int64_t numbered = 0;    // threads that have begun
  int64_t active = 0;      // tasks being decoded
  int64_t planned = 0;     // micro-batches planned since start()
  int64_t taken = 0;       // micro-batches whose samples are all handed out
  int64_t consumed = 0;    // micro-batches returned by next()
  bool holding = false;    // the last of those is still in use by the caller
  bool exhausted = false;  // validation: all is planned
  Position position;       // of the next global batch to plan
  int64_t micro_batch = 0;
  std::shared_ptr<const std::vector<int64_t>> order;
  std::shared_ptr<const std::vector<int64_t>> next_order;  // of the epoch behind it, where known
  std::optional<ReadAhead> ahead;
  int64_t ahead_to = 0;  // read ahead, or soon: images behind the begin of the position's epoch
  double wait_ms = 0;
  std::optional<WorkerThreads> threads;  // last: joined before the rest goes

  Impl(const Container& set, const Recipe& how, const LoaderOptions& opts);

  int64_t global_batch() const {
    return options.per_rank * options.accumulation * options.world_size;
  }
  int64_t steps_per_epoch() const {
    const int64_t rounding = options.training ? 0 : global_batch() - 1;
    return (container.count() + rounding) / global_batch();
  }
  const Recipe& recipe_at(int64_t epoch) const {
    for (size_t i = 0; options.training && i < early_recipes.size(); ++i) {
      if (epoch < options.early_sizes[i].until) return early_recipes[i];
    }
    return recipe;
  }
  std::shared_ptr<const std::vector<int64_t>> order_of(int64_t epoch) const {
    return std::make_shared<const std::vector<int64_t>>(sampler(epoch).order(epoch));
  }
  const Sampler& sampler(int64_t epoch) const {
    return first_sampler && epoch == first_epoch ? *first_sampler : own_sampler;
  }
  Slot& slot(int64_t number) { return slots[static_cast<size_t>(number) % slots.size()]; }

  void stop();
  void run();
  bool plan();
  void advance();
  void look_ahead();
  std::vector<int64_t> needed_here(int64_t epoch, const std::vector<int64_t>& of, int64_t begin,
                                   int64_t end, int64_t first_batch) const;
  Task take();
  int64_t place(const Slot& slot, int64_t i) const;
  void decode(const Task& task, std::vector<uint8_t>& bytes, RecipeScratch& scratch);
  void decode_sample(Slot& target, int64_t i, std::vector<uint8_t>& bytes, RecipeScratch& scratch);
  void start(Position from);
  Batch next();
};

DataLoader::Impl::Impl(const Container& set, const Recipe& how, const LoaderOptions& opts)
    : container(set),
      recipe(how),
      early_recipes(recipes_of(how, opts)),
      options(opts),
      own_sampler(set.count(), own_order(opts)),
      grain(std::clamp<int64_t>(opts.per_rank / (4 * std::max<int64_t>(opts.threads, 1)), 1, 16)) {
  check_options(options);
  if (options.training && steps_per_epoch() == 0) {
    throw ConfigError("batch",
                      "the global batch of " + std::to_string(global_batch()) +
                          " is larger than the " + std::to_string(container.count()) +
                          " images of " + container.path(),
                      "lower batch.per_rank, batch.accumulation or the number of ranks");
  }
  slots.resize(static_cast<size_t>(options.prefetch) + 1);
  for (Slot& each : slots) {
    const auto bytes =
        static_cast<size_t>(options.per_rank * recipe.options().crops * recipe.square_bytes());
    each.memory = options.allocate ? options.allocate(bytes) : allocate_aligned(bytes);
    each.labels.resize(static_cast<size_t>(options.per_rank));
  }
  const bool blocks = options.training && options.shuffle == Shuffle::kBlock;
  if (blocks && container.direct()) ahead.emplace(container);
  threads.emplace(
      options.threads, [this] { run(); }, [this] { stop(); });
}

void DataLoader::Impl::stop() {
  const std::lock_guard lock(mutex);
  stopping = true;
  work.notify_all();
}

// A decoder thread.
void DataLoader::Impl::run() {
  std::vector<uint8_t> bytes;
  RecipeScratch scratch;
  std::unique_lock lock(mutex);
  const int64_t number = numbered++;
  for (;;) {
    Task task;
    work.wait(lock, [&] { return stopping || (task = take()).slot != nullptr; });
    if (stopping) return;
    ++active;
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    decode(task, bytes, scratch);
    if (options.observer) {
      options.observer(number, task.last - task.first, begin, std::chrono::steady_clock::now());
    }
    lock.lock();
    --active;
    task.slot->done += task.last - task.first;
    if (active == 0 || task.slot->done == task.slot->count()) ready.notify_all();
  }
}

// The next samples to decode; no slot when there is nothing to do. Under the lock.
Task DataLoader::Impl::take() {
  while (taken < planned || plan()) {
    Slot& oldest = slot(taken);
    if (oldest.taken == oldest.count()) {
      ++taken;
      continue;
    }
    const int64_t first = oldest.taken;
    oldest.taken = std::min(oldest.count(), first + grain);
    return {&oldest, first, oldest.taken};
  }
  return {};
}

// Assigns the next micro-batch to a free slot. False when there is none to assign. Under the lock.
bool DataLoader::Impl::plan() {
  const int64_t released = consumed - (holding ? 1 : 0);
  if (!started || exhausted || planned - released == static_cast<int64_t>(slots.size())) {
    return false;
  }
  if (!order) order = std::exchange(next_order, nullptr);
  if (!order) order = order_of(position.epoch);
  if (ahead) look_ahead();
  const Share step = share_of_rank(container.count(), global_batch(), position.images, options.rank,
                                   options.world_size);
  Slot& free = slot(planned);
  free.share.begin = std::min(step.end, step.begin + micro_batch * options.per_rank);
  free.share.end = std::min(step.end, free.share.begin + options.per_rank);
  free.batch_begin = position.images;
  free.order = order;
  free.epoch = position.epoch;
  free.recipe = &recipe_at(position.epoch);
  free.taken = free.done = 0;
  free.error = nullptr;
  if (free.count() == 0) ready.notify_all();
  ++planned;
  advance();
  return true;
}

// Moves the position past the micro-batch that was planned.
void DataLoader::Impl::advance() {
  if (++micro_batch < options.accumulation) return;
  micro_batch = 0;
  if (options.training) {
    const Position next = after_batch(position, container.count(), global_batch());
    if (next.epoch != position.epoch) {
      order.reset();
      ahead_to -= container.count();
    }
    position = next;
    return;
  }
  position.images += global_batch();
  exhausted = position.images >= container.count();
  if (exhausted) ready.notify_all();
}

// In the epoch's order, of a slot's i-th sample.
int64_t DataLoader::Impl::place(const Slot& slot, int64_t i) const {
  const int64_t in_batch = slot.share.begin + i - slot.batch_begin;
  if (!options.training) return slot.share.begin + i;
  return sampler(slot.epoch).place_of(in_batch, slot.batch_begin, global_batch());
}

// Of the samples at [begin, end) of an epoch's order, those that the ranks of this host take, where
// a batch begins at `first_batch`, which is not behind `begin`.
std::vector<int64_t> DataLoader::Impl::needed_here(int64_t epoch, const std::vector<int64_t>& of,
                                                   int64_t begin, int64_t end,
                                                   int64_t first_batch) const {
  const int64_t of_rank = global_batch() / options.world_size;
  const int64_t first = (options.rank - options.host.rank) * of_rank;
  std::vector<int64_t> needed;
  for (int64_t batch = begin - (begin - first_batch) % global_batch(); batch < end;
       batch += global_batch()) {
    for (int64_t i = first; i < first + options.host.size * of_rank; ++i) {
      const int64_t at = sampler(epoch).place_of(i, batch, global_batch());
      if (at >= begin && at < end) needed.push_back(of[static_cast<size_t>(at)]);
    }
  }
  return needed;
}

// Asks for the rest of the window that the position is in, and for the next one, of this epoch or
// the one behind it. Under the lock.
void DataLoader::Impl::look_ahead() {
  const int64_t count = container.count();
  const auto end_of_window = [](int64_t at) { return (at / kShuffleWindow + 1) * kShuffleWindow; };
  const auto ask = [&](int64_t epoch, const std::vector<int64_t>& of, int64_t begin, int64_t end,
                       int64_t first_batch) {
    ahead->add(needed_here(epoch, of, begin, end, first_batch), options.host.rank,
               options.host.size);
  };
  const int64_t wanted = end_of_window(position.images) + kShuffleWindow;
  ahead_to = std::max(ahead_to, position.images);
  while (ahead_to < std::min(wanted, count)) {
    const int64_t end = std::min(end_of_window(ahead_to), count);
    ask(position.epoch, *order, ahead_to, end, position.images);
    ahead_to = end;
  }
  if (ahead_to != count || wanted < count + kShuffleWindow) return;
  next_order = order_of(position.epoch + 1);
  ask(position.epoch + 1, *next_order, 0, std::min(kShuffleWindow, count), 0);
  ahead_to += std::min(kShuffleWindow, count);
}

void DataLoader::Impl::decode(const Task& task, std::vector<uint8_t>& bytes,
                              RecipeScratch& scratch) {
  for (int64_t i = task.first; i < task.last; ++i) {
    try {
      decode_sample(*task.slot, i, bytes, scratch);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (task.slot->error && task.slot->failed_at < i) continue;
      task.slot->error = std::current_exception();
      task.slot->failed_at = i;
    }
  }
}

void DataLoader::Impl::decode_sample(Slot& target, int64_t i, std::vector<uint8_t>& bytes,
                                     RecipeScratch& scratch) {
  const int64_t at = place(target, i);
  const int64_t index = (*target.order)[static_cast<size_t>(at)];
  container.read_sample(index, bytes);
  const StoredSample sample{container.storage(), bytes, container.height(), container.width()};
  try {
    target.recipe->apply(sample,
                         {options.seed, target.epoch, index, sampler(target.epoch).copy_at(at)},
                         scratch, target.pixels() + i * target.recipe->square_bytes(),
                         target.count() * target.recipe->square_bytes());
  } catch (const DamagedImage& error) {
    throw DataError(container.name_of(index), error.what(),
                    "`resnext_data verify` lists all damaged samples");
  }
  target.labels[static_cast<size_t>(i)] = container.label(index);
}

void DataLoader::Impl::start(Position from) {
  std::unique_lock lock(mutex);
  started = false;  // no new work is planned, and what is planned is dropped
  taken = planned;
  ready.wait(lock, [this] { return active == 0; });
  planned = taken = consumed = 0;
  holding = false;
  micro_batch = 0;
  order.reset();
  next_order.reset();
  ahead_to = 0;
  if (ahead) ahead->clear();
  position = from;
  if (options.training) position = at_full_batch(from, container.count(), global_batch());
  first_sampler.reset();
  if (options.training && position.order) first_sampler.emplace(container.count(), position.order);
  first_epoch = position.epoch;
  exhausted = !options.training && from.images >= container.count();
  started = true;
  work.notify_all();
}

Batch DataLoader::Impl::next() {
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex);
  if (!started) throw std::logic_error("DataLoader::next() before start()");
  if (std::exchange(holding, false)) work.notify_all();
  Slot& oldest = slot(consumed);
  ready.wait(lock, [&] { return consumed == planned ? exhausted : oldest.done == oldest.count(); });
  const std::chrono::duration<double, std::milli> waited = std::chrono::steady_clock::now() - begin;
  wait_ms += waited.count();
  if (consumed == planned) {
    const RecipeOptions& how = recipe.options();
    return {nullptr, nullptr, 0, how.crops, how.size, 0, recipe.element()};
  }
  if (oldest.error) std::rethrow_exception(oldest.error);
  ++consumed;
  holding = true;
  const RecipeOptions& how = oldest.recipe->options();
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < oldest.count(); ++i) {
    indices.push_back((*oldest.order)[static_cast<size_t>(place(oldest, i))]);
  }
  return {oldest.pixels(), oldest.labels.data(), oldest.count(),  how.crops,
          how.size,        tally_of(indices),    recipe.element()};
}

DataLoader::DataLoader(const Container& container, const Recipe& recipe,
                       const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(container, recipe, options)) {}
DataLoader::~DataLoader() = default;

int64_t DataLoader::steps_per_epoch() const {
  return impl_->steps_per_epoch();
}
int64_t DataLoader::global_batch() const {
  return impl_->global_batch();
}
void DataLoader::start(Position position) {
  impl_->start(position);
}
Batch DataLoader::next() {
  return impl_->next();
}
uint64_t DataLoader::bytes_read_ahead() const {
  return impl_->ahead ? impl_->ahead->bytes() : 0;
}
double DataLoader::take_wait_ms() {
  return std::exchange(impl_->wait_ms, 0.0);
}

}  // namespace resnext
