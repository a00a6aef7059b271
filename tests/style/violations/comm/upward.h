// Not compiled: each include below breaks one rule of include_order.py.
// SPDX-License-Identifier: BSD-3-Clause
#include <ATen/core/Tensor.h>

#include "data/sampler.h"
#include "worker/trainer.h"
