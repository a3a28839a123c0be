// Depthwise convolution, a filter of its own for each channel: square windows that move by one element.
//
// oneDNN's takes up to 1.6 times as long (8 images of 56 x 56 with 144 channels, 2 threads), since each output reads all
// of its window again. Here a number, once read, is added to all outputs of the row whose windows meet it, weights and
// sums stay in registers, and what the next row needs is on its way early.
#pragma once

#include <cstdint>

#include "xla/ffi/api/ffi.h"

namespace hornbeam {

// Of inputs (images, height, width, channels), kernel (window, window, channels) and outputs
// (images, rows, columns, channels).
struct Depthwise {
  int64_t images, height, width, channels, rows, columns, window, top, left;
  bool flip;  // the kernel's elements from last to first, as the gradient by the inputs wants them
  bool relu;
};

// Whether RunDepthwise knows this size of the window.
bool DepthwiseKnows(int64_t window);

// `bias` may be null.
void RunDepthwise(xla::ffi::ThreadPool& pool, const Depthwise& p, const float* x, const float* kernel,
                  const float* bias, float* y);

}  // namespace hornbeam
