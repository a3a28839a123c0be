// Convolution forward from few channels, as the first one of most networks (3 of colour, or 1), or to few, as the last
// one of those that make images. The gradient by the inputs with strides of 1 is one of these with the kernel turned round.
//
// The elements that a window covers in one row of an image lie side by side, so that a window is a few long runs of
// numbers. From few channels, a number is multiplied by vectors of filters, the kernel as it lies; to few, vectors of
// channels are multiplied, and their sums added up at the end. Sums stay in registers.
//
// oneDNN makes 16 filters at a time, even where there is 1: to 3 channels it takes 3.5 times as long, to 1 channel 8 times
// and more. From 3 channels it passes over the outputs once for every 16 filters: a tenth slower for 64.
#pragma once

#include <cstdint>

#include "xla/ffi/api/ffi.h"

namespace hornbeam {

// Of inputs (images, height, width, channels), kernel (window_rows, window_columns, channels, filters) and outputs
// (images, rows, columns, filters).
struct FewChannels {
  int64_t images, height, width, channels, rows, columns, filters;
  int64_t window_rows, window_columns, stride_rows, stride_columns, top, left;
  bool turned;  // the kernel is that of the convolution whose gradient this is: (..., filters, channels), last element first
  bool relu;
};

// Whether RunFewChannels knows these numbers: from at most 4 channels to a multiple of 64, or from a multiple of 16
// to at most 4.
bool FewChannelsKnows(int64_t channels, int64_t filters);

// `bias` may be null.
void RunFewChannels(xla::ffi::ThreadPool& pool, const FewChannels& p, const float* x, const float* kernel,
                    const float* bias, float* y);

}  // namespace hornbeam
