// Forward convolution from few channels, as in the first layer of most networks (RGB or gray), or
// to few channels, as in the last layer of networks that generate images. With strides of 1, the
// gradient with respect to the inputs is such a convolution too, with the kernel reversed.
//
// The elements of a window in one row of an image are contiguous, so a window is a few long runs of
// numbers. From few channels, each number is multiplied by vectors of filters, in the layout of
// XLA's kernel. To few channels, vectors of channels are multiplied, and the elements of the sums
// are added up at the end. Sums stay in registers.
//
// oneDNN always computes 16 filters. So it takes 3.5 times as long to 3 channels, and at least 8
// times to 1 channel. From 3 channels it passes over the outputs once for every 16 filters, which
// is 10 % slower for 64 filters.
#pragma once

#include <cstdint>

#include "xla/ffi/api/ffi.h"

namespace hornbeam {

// The sizes of inputs (images, height, width, channels), kernel (window_rows, window_columns,
// channels, filters) and outputs (images, rows, columns, filters).
struct FewChannels {
  int64_t images, height, width, channels, rows, columns, filters;
  int64_t window_rows, window_columns, stride_rows, stride_columns, top, left;
  bool turned;  // for a gradient: the kernel is (..., filters, channels), read backwards
  bool relu;
};

// Returns whether RunFewChannels supports these channels: from at most 4 to a multiple of 64, or
// from a multiple of 16 to at most 4.
bool FewChannelsKnows(int64_t channels, int64_t filters);

// `bias` may be null.
void RunFewChannels(xla::ffi::ThreadPool& pool, const FewChannels& p, const float* x, const float* kernel,
                    const float* bias, float* y);

}  // namespace hornbeam
