// Not compiled: each include below breaks one rule of include_order.py.
// SPDX-License-Identifier: BSD-3-Clause
#include <torch/torch.h>
#include <yaml-cpp/yaml.h>

#include "model/network/resnext.h"
