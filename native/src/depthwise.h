// Depthwise convolution, one filter per channel, for square windows and strides of 1.
//
// oneDNN takes up to 1.6 times as long (8 images of 56 x 56 with 144 channels, 2 threads), because
// each output reads its whole window again. Here each input is read once and added to all outputs
// of the row whose windows contain it. Weights and sums stay in registers, and the next row is
// prefetched.
#pragma once

#include <cstdint>

#include "xla/ffi/api/ffi.h"

namespace hornbeam {

// The sizes of inputs (images, height, width, channels), kernel (window, window, channels) and
// outputs (images, rows, columns, channels).
struct Depthwise {
  int64_t images, height, width, channels, rows, columns, window, top, left;
  bool flip;  // read the kernel backwards, for the gradient with respect to the inputs
  bool relu;
};

// Returns whether RunDepthwise supports this window size.
bool DepthwiseKnows(int64_t window);

// `bias` may be null.
void RunDepthwise(xla::ffi::ThreadPool& pool, const Depthwise& p, const float* x, const float* kernel,
                  const float* bias, float* y);

}  // namespace hornbeam
