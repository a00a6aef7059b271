// Not compiled: the include below breaks three rules of include_order.py.
// SPDX-License-Identifier: BSD-3-Clause
#include "data/pack/packer.h"
