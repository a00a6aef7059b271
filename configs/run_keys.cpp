// The table of configuration keys and the look-ups in it.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/run_keys.h"

#include <algorithm>
#include <type_traits>

namespace resnext {
namespace {

constexpr int64_t kMany = 1'000'000'000;  // of images, steps, ...: more is a slip of the keyboard
constexpr int64_t kManyEpochs = 1'000'000;
constexpr int64_t kManyImages = 100'000'000;  // synthetic; a label of each is kept

using R = RunConfig;

// The member at the end of a path of members: at<&RunConfig::run, &RunOptions::seed>.
template <auto... Path>
auto& at(RunConfig& config) {
  return (config.*....*Path);
}

template <auto... Path>
constexpr ChoiceField choice(std::string_view spellings) {
  return {spellings, [](RunConfig& c) { return static_cast<int>(at<Path...>(c)); },
          [](RunConfig& c, int value) {
            auto& member = at<Path...>(c);
            member = static_cast<std::remove_reference_t<decltype(member)>>(value);
          }};
}

const RunKey kKeys[] = {
    {"run.name", "name of the run in logs; empty: the configuration file's name",
     TextField{at<&R::run, &RunOptions::name>, true}},
    {"run.output", "run folder: configuration, metrics, checkpoints, report",
     TextField{at<&R::run, &RunOptions::output>, false}},
    {"run.seed", "seed of initialisation, sample order and augmentation",
     SeedField{at<&R::run, &RunOptions::seed>}},
    {"run.epochs", "passes over the training set",
     IntField{at<&R::run, &RunOptions::epochs>, 1, kManyEpochs}},
    {"run.steps", "stop after so many updates in all; 0: by epochs",
     IntField{at<&R::run, &RunOptions::steps>, 0, kMany}},
    {"run.pause_epoch", "end a start after so many epochs, to go on in a later one; 0: not",
     IntField{at<&R::run, &RunOptions::pause_epoch>, 0, kManyEpochs}},
    {"run.validate_every_epochs", "validate after so many epochs, and at the end",
     IntField{at<&R::run, &RunOptions::validate_every_epochs>, 1, kManyEpochs}},
    {"run.early_stop", "end when top-1 has not risen for so many epochs; 0: never",
     IntField{at<&R::run, &RunOptions::early_stop>, 0, kManyEpochs}},
    {"run.resume", "auto: latest checkpoint of the run folder; none; or the path of a checkpoint",
     TextField{at<&R::run, &RunOptions::resume>, false}},
    {"run.accept_new_data",
     "go on though the data differ from what the checkpoint was trained with",
     BoolField{at<&R::run, &RunOptions::accept_new_data>}},
    {"run.deterministic", "use deterministic algorithms only",
     BoolField{at<&R::run, &RunOptions::deterministic>}},
    {"run.graph", "on GPUs: replay the training step from a CUDA graph",
     BoolField{at<&R::run, &RunOptions::graph>}},

    {"model.family", "imagenet: four stages, depth 50, 101 or 152; cifar: three stages, depth 9n+2",
     choice<&R::model, &ModelOptions::family>("imagenet|cifar")},
    {"model.depth", "weighted layers on the longest path",
     IntField{at<&R::model, &ModelOptions::depth>, 11, 1001}},
    {"model.cardinality", "paths (groups) of a block",
     IntField{at<&R::model, &ModelOptions::cardinality>, 1, 1024}},
    {"model.base_width", "channels of one path in the first stage when the stem has 64",
     IntField{at<&R::model, &ModelOptions::base_width>, 1, 1024}},
    {"model.block", "C: one grouped convolution; B: separate paths; resnet: no groups",
     choice<&R::model, &ModelOptions::block>("C|B|resnet")},
    {"model.shortcut", "where shapes change: A pads with zeros, B projects; C projects everywhere",
     choice<&R::model, &ModelOptions::shortcut>("A|B|C")},
    {"model.classes", "outputs of the classifier; 0: from the data set",
     IntField{at<&R::model, &ModelOptions::classes>, 0, 1'000'000}},
    {"model.stem.kernel",
     "side of the first convolution; 0: the family's own (imagenet 7, cifar 3)",
     IntField{at<&R::model, &ModelOptions::stem, &StemOptions::kernel>, 0, 31}},
    {"model.stem.stride",
     "stride of the first convolution; 0: the family's own (imagenet 2, cifar 1)",
     IntField{at<&R::model, &ModelOptions::stem, &StemOptions::stride>, 0, 8}},
    {"model.stem.width", "channels of the first convolution, scales the whole network; 0: 64",
     IntField{at<&R::model, &ModelOptions::stem, &StemOptions::width>, 0, 2048}},
    {"model.stem.pool", "max pool 3x3/2 after the first convolution; auto: imagenet only",
     choice<&R::model, &ModelOptions::stem, &StemOptions::pool>("auto|true|false")},
    {"model.se_reduction",
     "squeeze-and-excitation behind each block, its inner width divided by this (16); 0: none",
     IntField{at<&R::model, &ModelOptions::se_reduction>, 0, 1024}},
    {"model.norm",
     "BN's statistics in training: local: of a rank's images; sync: of all ranks'; group: of "
     "groups",
     choice<&R::model, &ModelOptions::norm>("local|sync|group")},
    {"model.norm_group", "ranks of a group (model.norm: group), which divide the world's; else 0",
     IntField{at<&R::model, &ModelOptions::norm_group>, 0, 1'000'000}},
    {"model.zero_gamma", "start the last BN scale of each block at 0",
     BoolField{at<&R::model, &ModelOptions::zero_gamma>}},
    {"model.pretrained", "weights file to start from; empty: random initialisation",
     TextField{at<&R::model, &ModelOptions::pretrained>, true}},
    {"model.pretrained_key", "which weights of model.pretrained where it holds several: model_ema",
     TextField{at<&R::model, &ModelOptions::pretrained_key>, true}},
    {"model.reset_classifier", "keep the new classifier when loading model.pretrained",
     BoolField{at<&R::model, &ModelOptions::reset_classifier>}},
    {"model.stochastic_depth",
     "share of the images that the last block is left out for in training; the first's is 0",
     RealField{at<&R::model, &ModelOptions::stochastic_depth>, {0, 1, false, true}}},
    {"model.freeze",
     "fine-tuning: the stem and so many stages keep weights and statistics; -1: all are trained",
     IntField{at<&R::model, &ModelOptions::freeze>, -1, 4}},
    {"model.recompute_stages",
     "first stages that run forward again in backward instead of keeping activations",
     IntField{at<&R::model, &ModelOptions::recompute_stages>, 0, 4}},
    {"model.fused_convolutions",
     "GPU, bf16 or fp16: convolutions take BN's sums on their way, where cuDNN is faster so; "
     "not with run.deterministic",
     BoolField{at<&R::model, &ModelOptions::fused_convolutions>}},

    {"data.train",
     "the training split: FILE.h5, or FILE.h5:/GROUP; several in a row: [A.h5, B.h5]; or "
     "synthetic: "
     "random images",
     TextListField{at<&R::data, &DataOptions::train>}},
    {"data.validation", "the validation split, as data.train; empty: no validation",
     TextListField{at<&R::data, &DataOptions::validation>}},
    {"data.synthetic.images", "images of a synthetic training split",
     IntField{at<&R::data, &DataOptions::synthetic, &SyntheticOptions::images>, 1, kManyImages}},
    {"data.synthetic.validation_images", "images of a synthetic validation split",
     IntField{at<&R::data, &DataOptions::synthetic, &SyntheticOptions::validation_images>, 1,
              kManyImages}},
    {"data.synthetic.classes", "classes of synthetic splits; 0: model.classes, or 1000",
     IntField{at<&R::data, &DataOptions::synthetic, &SyntheticOptions::classes>, 0, 1'000'000}},
    {"data.images",
     "dataset of the images in files that others made; empty: found by name or shape",
     TextField{at<&R::data, &DataOptions::images>, true}},
    {"data.labels", "dataset of the labels, or FILE.h5:/NAME of another file; empty: found",
     TextField{at<&R::data, &DataOptions::labels>, true}},
    {"data.validation_labels", "the same of the validation split; empty: as data.labels",
     TextField{at<&R::data, &DataOptions::validation_labels>, true}},
    {"data.recipe", "augmentation; none: resize, centre crop and normalise only",
     choice<&R::data, &DataOptions::recipe>("seed|torchvision|torchvision-v2|cifar|none")},
    {"data.interpolation",
     "of crops, resizes and moved pixels; auto: the recipe's; random: bilinear or bicubic",
     choice<&R::data, &DataOptions::interpolation>("auto|bilinear|bicubic|random")},
    {"data.augment.policy", "behind crop and flip: TrivialAugmentWide or RandAugment",
     choice<&R::data, &DataOptions::augment, &AugmentOptions::policy>("recipe|none|trivial|rand")},
    {"data.augment.magnitude", "level of RandAugment's operations, 0 to 10",
     RealField{at<&R::data, &DataOptions::augment, &AugmentOptions::magnitude>, {0, 10}}},
    {"data.augment.deviation", "the level is normal around it with this deviation; 0: fixed",
     RealField{at<&R::data, &DataOptions::augment, &AugmentOptions::deviation>, {0, 100}}},
    {"data.augment.operations", "RandAugment's operations on an image",
     IntField{at<&R::data, &DataOptions::augment, &AugmentOptions::operations>, 1, 100}},
    {"data.augment.probability", "of each of RandAugment's operations",
     RealField{at<&R::data, &DataOptions::augment, &AugmentOptions::probability>, {0, 1}}},
    {"data.augment.increasing", "every one of RandAugment's operations grows with its level",
     BoolField{at<&R::data, &DataOptions::augment, &AugmentOptions::increasing>}},
    {"data.augment.erasing", "probability of an erased rectangle; -1: the recipe's",
     RealField{at<&R::data, &DataOptions::augment, &AugmentOptions::erasing>, {-1, 1}}},
    {"data.repeats", "copies of an image in a global batch, augmented differently",
     IntField{at<&R::data, &DataOptions::repeats>, 1, 1024}},
    {"data.size", "side of the square that the network sees, pixels",
     IntField{at<&R::data, &DataOptions::size>, 1, 4096}},
    {"data.early_sizes", "training's size before each of data.early_size_epochs: [128, 160]",
     RealListField{at<&R::data, &DataOptions::early_sizes>, {1, 4096}}},
    {"data.early_size_epochs",
     "epochs at which the next of them begins, at last data.size: [10, 20]",
     RealListField{at<&R::data, &DataOptions::early_size_epochs>,
                   {0, static_cast<double>(kManyEpochs), true, false}}},
    {"data.evaluation_size", "the same in validation; 0: data.size",
     IntField{at<&R::data, &DataOptions::evaluation_size>, 0, 4096}},
    {"data.crops", "squares of an image in validation: 1, or 10 (centre, corners, mirrored)",
     IntField{at<&R::data, &DataOptions::crops>, 1, 10}},
    {"data.resize", "validation: shorter side before the centre crop, pixels",
     IntField{at<&R::data, &DataOptions::resize>, 1, 8192}},
    {"data.threads", "decode threads of each rank",
     IntField{at<&R::data, &DataOptions::threads>, 1, 1024}},
    {"data.prefetch", "micro-batches held ready ahead of the step",
     IntField{at<&R::data, &DataOptions::prefetch>, 1, 1024}},
    {"data.class_weights",
     "of images in training's loss; balanced: images / (classes x images of the class)",
     choice<&R::data, &DataOptions::class_weights>("none|balanced")},
    {"data.shuffle",
     "full: one permutation of all samples; block: for storage slow at random reads",
     choice<&R::data, &DataOptions::shuffle>("full|block")},

    {"batch.per_rank", "images of one rank in one micro-batch; 0: from batch.global",
     IntField{at<&R::batch, &BatchOptions::per_rank>, 0, 1'000'000}},
    {"batch.global", "images of all ranks in one step; 0: from batch.per_rank",
     IntField{at<&R::batch, &BatchOptions::global>, 0, kMany}},
    {"batch.accumulation", "micro-batches whose gradients are summed before a step",
     IntField{at<&R::batch, &BatchOptions::accumulation>, 1, 1'000'000}},

    {"optimizer.kind", "sgd with momentum; lars as MLPerf's; lamb as timm's; adamw",
     choice<&R::optimizer, &OptimizerOptions::kind>("sgd|lars|lamb|adamw")},
    {"optimizer.base_lr", "learning rate for a global batch of optimizer.base_batch",
     RealField{at<&R::optimizer, &OptimizerOptions::base_lr>, {0, 1000, true, false}}},
    {"optimizer.base_batch", "effective rate = base_lr * global batch / base_batch",
     IntField{at<&R::optimizer, &OptimizerOptions::base_batch>, 1, kMany}},
    {"optimizer.momentum", "momentum (sgd, lars)",
     RealField{at<&R::optimizer, &OptimizerOptions::momentum>, {0, 1, false, true}}},
    {"optimizer.nesterov", "Nesterov's momentum (sgd, lars)",
     BoolField{at<&R::optimizer, &OptimizerOptions::nesterov>}},
    {"optimizer.beta1", "share of the past in the mean of gradients (lamb, adamw)",
     RealField{at<&R::optimizer, &OptimizerOptions::beta1>, {0, 1, false, true}}},
    {"optimizer.beta2", "share of the past in the mean of their squares (lamb, adamw)",
     RealField{at<&R::optimizer, &OptimizerOptions::beta2>, {0, 1, false, true}}},
    {"optimizer.eps", "added to denominators; 0: the kind's own (lars 1e-7, lamb 1e-6, adamw 1e-8)",
     RealField{at<&R::optimizer, &OptimizerOptions::eps>, {0, 1}}},
    {"optimizer.trust", "trust coefficient (lars)",
     RealField{at<&R::optimizer, &OptimizerOptions::trust>, {0, 1000, true, false}}},
    {"optimizer.weight_decay", "L2 penalty, part of the gradient; adamw: apart from it",
     RealField{at<&R::optimizer, &OptimizerOptions::weight_decay>, {0, 1}}},
    {"optimizer.decay_norms", "weight decay on BN scales, BN shifts and biases too",
     BoolField{at<&R::optimizer, &OptimizerOptions::decay_norms>}},
    {"optimizer.decay_biases",
     "where decay_norms is false: weight decay on the classifier's bias all the same",
     BoolField{at<&R::optimizer, &OptimizerOptions::decay_biases>}},
    {"optimizer.clip_norm", "largest norm of all gradients together; 0: any",
     RealField{at<&R::optimizer, &OptimizerOptions::clip_norm>, {0, 1.0e9}}},
    {"optimizer.loss", "cross_entropy over the classes, or bce: of each class by itself, mean",
     choice<&R::optimizer, &OptimizerOptions::loss>("cross_entropy|bce")},
    {"optimizer.label_smoothing", "share of the target spread over all classes",
     RealField{at<&R::optimizer, &OptimizerOptions::label_smoothing>, {0, 1, false, true}}},
    {"optimizer.bce_threshold", "bce: targets above it count as 1, the others as 0; 0: as they are",
     RealField{at<&R::optimizer, &OptimizerOptions::bce_threshold>, {0, 1, false, true}}},

    {"mix.mixup", "mixup: images and labels blended in pairs, Beta(this, this); 0: not",
     RealField{at<&R::mix, &MixOptions::mixup>, {0, 1000}}},
    {"mix.cutmix", "CutMix: a box of the partner's pixels, Beta(this, this); 0: not",
     RealField{at<&R::mix, &MixOptions::cutmix>, {0, 1000}}},
    {"mix.probability", "probability of a batch to be mixed",
     RealField{at<&R::mix, &MixOptions::probability>, {0, 1}}},
    {"mix.cutmix_share", "probability of CutMix where mixup is on too",
     RealField{at<&R::mix, &MixOptions::cutmix_share>, {0, 1}}},

    {"schedule.kind", "step: times gamma at each milestone; the others fall to min_lr",
     choice<&R::schedule, &ScheduleOptions::kind>("step|cosine|polynomial|one_cycle")},
    {"schedule.milestones", "epochs at which the rate is multiplied by gamma (step)",
     RealListField{at<&R::schedule, &ScheduleOptions::milestones>,
                   {0, static_cast<double>(kManyEpochs), true, false}}},
    {"schedule.gamma", "factor at each milestone (step)",
     RealField{at<&R::schedule, &ScheduleOptions::gamma>, {0, 1, true, false}}},
    {"schedule.power", "exponent of the fall (polynomial)",
     RealField{at<&R::schedule, &ScheduleOptions::power>, {0, 100, true, false}}},
    {"schedule.min_lr", "rate at the end, whatever the batch (all but step)",
     RealField{at<&R::schedule, &ScheduleOptions::min_lr>, {0, 1000}}},
    {"schedule.warmup_epochs", "warm-up to the effective rate: linear; one_cycle: half a cosine",
     RealField{at<&R::schedule, &ScheduleOptions::warmup_epochs>,
               {0, static_cast<double>(kManyEpochs)}}},
    {"schedule.warmup_start",
     "share of the effective rate at its begin; -1: base_lr (one_cycle: a share of 0.04)",
     RealField{at<&R::schedule, &ScheduleOptions::warmup_start>, {-1, 1}}},
    {"schedule.cooldown_epochs", "last epochs of run.epochs, which stay at the last rate",
     RealField{at<&R::schedule, &ScheduleOptions::cooldown_epochs>,
               {0, static_cast<double>(kManyEpochs)}}},
    {"schedule.per_epoch", "change the rate where an epoch begins, not at each step",
     BoolField{at<&R::schedule, &ScheduleOptions::per_epoch>}},

    {"ema.decay", "moving average (EMA) of the weights: share of the past at each update; 0: none",
     RealField{at<&R::ema, &EmaOptions::decay>, {0, 1, false, true}}},
    {"ema.every_steps", "it is updated with the 1st, (k + 1)th, ... step of each epoch",
     IntField{at<&R::ema, &EmaOptions::every_steps>, 1, kMany}},
    {"ema.warmup_epochs", "so long it is a copy of the weights",
     RealField{at<&R::ema, &EmaOptions::warmup_epochs>, {0, static_cast<double>(kManyEpochs)}}},
    {"ema.evaluate", "--evaluate takes the average, not the weights",
     BoolField{at<&R::ema, &EmaOptions::evaluate>}},

    {"precision.compute", "number type of forward and backward",
     choice<&R::precision, &PrecisionOptions::compute>("fp32|tf32|bf16|fp16|fp64")},
    {"precision.channels_last", "keep images and weights in NHWC order",
     BoolField{at<&R::precision, &PrecisionOptions::channels_last>}},

    {"comm.backend", "auto: nccl where every rank has a GPU, else mpi",
     choice<&R::comm, &CommOptions::backend>("auto|mpi|nccl")},
    {"comm.bucket_mib", "size of a gradient bucket, MiB",
     RealField{at<&R::comm, &CommOptions::bucket_mib>, {0, 65536, true, false}}},
    {"comm.first_bucket_mib", "size of the first bucket, MiB: small, so that sending starts early",
     RealField{at<&R::comm, &CommOptions::first_bucket_mib>, {0, 65536, true, false}}},
    {"comm.compress", "type that gradients travel in; none: their own",
     choice<&R::comm, &CommOptions::compress>("none|bf16")},
    {"comm.timeout_s", "a collective that takes longer means a lost peer, seconds",
     RealField{at<&R::comm, &CommOptions::timeout_s>, {0, 604800, true, false}}},

    {"checkpoint.every_epochs", "save after so many epochs; 0: not by epochs",
     RealField{at<&R::checkpoint, &CheckpointOptions::every_epochs>,
               {0, static_cast<double>(kManyEpochs)}}},
    {"checkpoint.every_steps", "save after so many steps; 0: not by steps",
     IntField{at<&R::checkpoint, &CheckpointOptions::every_steps>, 0, kMany}},
    {"checkpoint.keep", "newest checkpoints that are kept, besides the best",
     IntField{at<&R::checkpoint, &CheckpointOptions::keep>, 1, 1'000'000}},
    {"checkpoint.local",
     "folder on each host, such as /dev/shm, that keeps its newest snapshot; empty: none",
     TextField{at<&R::checkpoint, &CheckpointOptions::local>, true}},
    {"checkpoint.local_every_steps", "snapshot on each host after so many steps",
     IntField{at<&R::checkpoint, &CheckpointOptions::local_every_steps>, 1, kMany}},

    {"log.every_steps", "log and record after so many steps",
     IntField{at<&R::log, &LogOptions::every_steps>, 1, kMany}},
    {"log.tensorboard", "write TensorBoard event files",
     BoolField{at<&R::log, &LogOptions::tensorboard>}},
    {"log.timeline", "record a timeline of each step's phases",
     BoolField{at<&R::log, &LogOptions::timeline>}},
};

}  // namespace

bool Interval::contains(double value) const {
  return (open_min ? value > min : value >= min) && (open_max ? value < max : value <= max);
}

std::span<const RunKey> run_keys() {
  return kKeys;
}

std::vector<std::string> run_key_names() {
  std::vector<std::string> names;
  for (const RunKey& key : kKeys) names.emplace_back(key.name);
  return names;
}

const RunKey* find_run_key(std::string_view name) {
  const auto found = std::ranges::find(kKeys, name, &RunKey::name);
  return found == std::end(kKeys) ? nullptr : found;
}

bool is_section(std::string_view name) {
  if (name.empty()) return true;
  return std::ranges::any_of(kKeys, [name](const RunKey& key) {
    return key.name.size() > name.size() && key.name.starts_with(name) &&
           key.name[name.size()] == '.';
  });
}

std::string_view section_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

std::string_view leaf_of(std::string_view name) {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

std::vector<std::string_view> split_spellings(std::string_view spellings) {
  std::vector<std::string_view> words;
  while (true) {
    const auto bar = spellings.find('|');
    words.push_back(spellings.substr(0, bar));
    if (bar == std::string_view::npos) return words;
    spellings.remove_prefix(bar + 1);
  }
}

}  // namespace resnext
