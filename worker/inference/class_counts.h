// What became of the images of each class: the confusion table and the top-5 hits.
//
// Local but for sum(); on the device of what is added. One thread.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace resnext {

class ClassCounts {
 public:
  ClassCounts(int64_t classes, at::Device device);

  // labels int64 [N]; best int64 [N, k], the k likeliest classes, first the likeliest.
  void add(const at::Tensor& labels, const at::Tensor& best);
  // COLLECTIVE. Every rank's counts are those of all; on the host from now on.
  void sum(Communicator& communicator);

  // Comma-separated text after sum(). A class without a name is its number.
  // class,name,images,top1,top5 in percent; both empty where there is no image.
  std::string per_class(const std::vector<std::string>& names) const;
  // true,predicted,true_name,predicted_name,images: the pairs that occur.
  std::string confusion(const std::vector<std::string>& names) const;

 private:
  int64_t classes_;
  at::Tensor confusion_;  // int64 [classes * classes], true class by predicted class
  at::Tensor top5_;       // int64 [classes]
};

// The class's name; its number where it has none.
std::string class_name(const std::vector<std::string>& names, int64_t index);

}  // namespace resnext
