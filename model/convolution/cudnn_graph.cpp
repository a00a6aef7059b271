// SPDX-License-Identifier: BSD-3-Clause
#include "model/convolution/cudnn_graph.h"

#include <array>
#include <deque>
#include <span>
#include <utility>

#include "comm/common/error.h"

namespace resnext::cudnn {
namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(ExitCode::kInternal, "cudnn",
              std::string(what) + " failed: " + cudnnGetErrorString(status),
              "set model.fused_convolutions to false");
}

// Owns one of cuDNN's descriptors.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t raw = nullptr;
    check(cudnnBackendCreateDescriptor(type, &raw), "a descriptor");
    raw_.reset(raw);
  }

  cudnnBackendDescriptor_t get() const { return raw_.get(); }

  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  std::span<const T> values) {
    check(cudnnBackendSetAttribute(get(), name, type, static_cast<int64_t>(values.size()),
                                   values.data()),
          "an attribute");
    return *this;
  }
  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) {
    return set(name, type, std::span<const T>(&value, 1));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.get());
  }

  bool accepted() { return cudnnBackendFinalize(get()) == CUDNN_STATUS_SUCCESS; }
  Descriptor& finalize(const char* what) {
    check(cudnnBackendFinalize(get()), what);
    return *this;
  }

 private:
  struct Destroy {
    void operator()(void* raw) const { cudnnBackendDestroyDescriptor(raw); }
  };
  std::unique_ptr<void, Destroy> raw_;
};

// Names of tensors in a graph; those from kVirtual on exist within it only.
enum Id : int64_t {
  kInput = 1,
  kWeight,
  kGradient,
  kX,
  kMean,
  kInverse,
  kGamma,
  kBeta,
  kValues,
  kFirst,
  kSecond,
  kVirtual
};

// The operations of one graph, in order.
class Builder {
 public:
  explicit Builder(const Problem& problem) : problem_(problem) {}

  Descriptor graph(Fusion fusion) {
    if (fusion == Fusion::kOutputSums) {
      output_sums();
    } else {
      gradient_sums();
    }
    std::vector<cudnnBackendDescriptor_t> operations;
    for (const Descriptor& operation : operations_) operations.push_back(operation.get());
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              std::span<const cudnnBackendDescriptor_t>(operations));
    return graph;
  }

 private:
  using Dimensions = std::array<int64_t, 4>;

  void output_sums() {
    const Problem& p = problem_;
    const Descriptor& output = activation(kValues, p.outputs, p.out(p.height), p.out(p.width));
    operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
             activation(kInput, p.channels, p.height, p.width))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, weight())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, output)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, convolution())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0F)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0F)
        .finalize("a convolution");
    operation(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM)
        .set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, output)
        .set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, of_channels(kFirst, p.outputs))
        .set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, of_channels(kSecond, p.outputs))
        .finalize("sums");
  }

  void gradient_sums() {
    const Problem& p = problem_;
    const Descriptor& made = arithmetic();
    operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
             activation(kGradient, p.outputs, p.out(p.height), p.out(p.width)))
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, weight())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, made)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1.0F)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 0.0F)
        .finalize("a convolution");
    const Descriptor& x = activation(kX, p.channels, p.height, p.width);
    const Descriptor& centred = pointwise(CUDNN_POINTWISE_SUB, x, of_channels(kMean, p.channels));
    const Descriptor& scaled =
        pointwise(CUDNN_POINTWISE_MUL,
                  pointwise(CUDNN_POINTWISE_MUL, centred, of_channels(kInverse, p.channels)),
                  of_channels(kGamma, p.channels));
    const Descriptor& before =
        pointwise(CUDNN_POINTWISE_ADD, scaled, of_channels(kBeta, p.channels));
    const Descriptor& values = activation(kValues, p.channels, p.height, p.width);
    operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode(CUDNN_POINTWISE_RELU_BWD))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, made)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, before)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, values)
        .finalize("the ReLU's gradient");
    sum(values, of_channels(kFirst, p.channels));
    sum(pointwise(CUDNN_POINTWISE_MUL, values, centred), of_channels(kSecond, p.channels));
  }

  // ---- operations ----
  Descriptor& operation(cudnnBackendDescriptorType_t type) {
    return operations_.emplace_back(type);
  }

  const Descriptor& mode(cudnnPointwiseMode_t mode) {
    return parts_.emplace_back(CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
        .set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
        .finalize("a pointwise operation");
  }

  const Descriptor& pointwise(cudnnPointwiseMode_t which, const Descriptor& a,
                              const Descriptor& b) {
    const Descriptor& result = arithmetic();
    operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode(which))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result)
        .finalize("a pointwise operation");
    return result;
  }

  void sum(const Descriptor& values, const Descriptor& result) {
    const Descriptor& addition =
        parts_.emplace_back(CUDNN_BACKEND_REDUCTION_DESCRIPTOR)
            .set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
                 CUDNN_REDUCE_TENSOR_ADD)
            .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
            .finalize("a sum");
    operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, addition)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, values)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, result)
        .finalize("a sum");
  }

  const Descriptor& convolution() {
    const std::array<int64_t, 2> padding = {problem_.padding, problem_.padding};
    const std::array<int64_t, 2> stride = {problem_.stride, problem_.stride};
    const std::array<int64_t, 2> dilation = {1, 1};
    const auto pair = [](const auto& values) { return std::span<const int64_t>(values); };
    return parts_.emplace_back(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
        .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, int64_t{2})
        .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
        .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, pair(padding))
        .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, pair(padding))
        .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, pair(stride))
        .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, pair(dilation))
        .finalize("a convolution");
  }

  // ---- tensors ----
  const Descriptor& tensor(int64_t id, cudnnDataType_t type, const Dimensions& size) {
    const auto [n, c, h, w] = size;
    const Dimensions strides = {c * h * w, 1, w * c, c};
    return parts_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
        .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::span<const int64_t>(size))
        .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, std::span<const int64_t>(strides))
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, int64_t{16})
        .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, id >= kVirtual)
        .finalize("a tensor");
  }
  const Descriptor& activation(Id id, int64_t channels, int64_t height, int64_t width) {
    return tensor(id, problem_.element, {problem_.images, channels, height, width});
  }
  const Descriptor& weight() {
    const Problem& p = problem_;
    return tensor(kWeight, p.element, {p.outputs, p.channels / p.groups, p.kernel, p.kernel});
  }
  const Descriptor& of_channels(Id id, int64_t channels) {
    return tensor(id, CUDNN_DATA_FLOAT, {1, channels, 1, 1});
  }
  // Of the input's shape, float32, never in memory.
  const Descriptor& arithmetic() {
    const Problem& p = problem_;
    return tensor(next_virtual_++, CUDNN_DATA_FLOAT, {p.images, p.channels, p.height, p.width});
  }

  const Problem problem_;
  std::deque<Descriptor> parts_;
  std::deque<Descriptor> operations_;
  int64_t next_virtual_ = kVirtual;
};

// What cuDNN recommends for a finalized graph.
std::vector<Descriptor> recommended(const Descriptor& graph, const Descriptor* device) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (device) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  if (!heuristics.accepted()) return {};
  int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
        "a question for engines");
  std::vector<Descriptor> configs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) {
    raw.push_back(configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
  }
  const cudnnStatus_t status =
      cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data());
  if (status != CUDNN_STATUS_SUCCESS) return {};
  configs.erase(configs.begin() + count, configs.end());
  return configs;
}

class EnginePlan final : public Plan {
 public:
  EnginePlan(Descriptor plan, Fusion fusion) : plan_(std::move(plan)), fusion_(fusion) {
    int64_t count = 0;
    check(cudnnBackendGetAttribute(plan_.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                   CUDNN_TYPE_INT64, 1, &count, &workspace_),
          "a question for a plan's memory");
  }

  int64_t workspace_bytes() const override { return workspace_; }

  void run(cudnnHandle_t handle, const Tensors& t, void* workspace) const override {
    std::vector<int64_t> ids = {kWeight, kValues, kFirst, kSecond};
    std::vector<const void*> addresses = {t.weight, t.values, t.first, t.second};
    if (fusion_ == Fusion::kOutputSums) {
      ids.push_back(kInput);
      addresses.push_back(t.input);
    } else {
      ids.insert(ids.end(), {kGradient, kX, kMean, kInverse, kGamma, kBeta});
      addresses.insert(addresses.end(), {t.gradient, t.x, t.mean, t.inverse, t.gamma, t.beta});
    }
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, std::span<const int64_t>(ids))
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
             std::span<const void* const>(addresses))
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace)
        .finalize("addresses of a plan");
    check(cudnnBackendExecute(handle, plan_.get(), pack.get()), "a convolution with sums");
  }

 private:
  Descriptor plan_;
  Fusion fusion_;
  int64_t workspace_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Plan>> make_plans(cudnnHandle_t handle, Fusion fusion,
                                              const Problem& problem, size_t most) {
  Builder builder(problem);
  Descriptor graph = builder.graph(fusion);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  if (!graph.accepted()) return {};
  std::vector<std::unique_ptr<Plan>> plans;
  for (const Descriptor& config : recommended(graph, nullptr)) {
    if (plans.size() == most) break;
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle)
        .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (plan.accepted()) plans.push_back(std::make_unique<EnginePlan>(std::move(plan), fusion));
  }
  return plans;
}

size_t offered_engines(const std::string& device_properties, Fusion fusion,
                       const Problem& problem) {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device
      .set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
           std::span<const char>(device_properties))
      .finalize("a device's properties");
  Builder builder(problem);
  Descriptor graph = builder.graph(fusion);
  return graph.accepted() ? recommended(graph, &device).size() : 0;
}

}  // namespace resnext::cudnn
