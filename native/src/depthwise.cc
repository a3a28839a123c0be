#include "depthwise.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "instructions.h"
#include "parallel.h"
#include "vectors.h"

namespace hornbeam {
namespace {

// The operands of one row of outputs.
struct Row {
  const float* const* x;  // the row of the image at each row of the window, or zeros in the padding
  const float *kernel, *bias;
  float* y;
  bool ahead;  // whether to prefetch the next row
};

// Computes the channels `c` ... `c` + width - 1 of a row, for windows of K x K.
template <int width, int K>
HORNBEAM_INLINE void Channels(const Depthwise& p, const Row& row, int64_t c) {
  using V = typename Vector<width>::Type;
  const int64_t C = p.channels, W = p.width, left = p.left, columns = p.columns;
  const bool relu = p.relu, ahead = row.ahead && c % 16 == 0;  // once per cache line
  const float* x[K];
  // sums: of the outputs whose windows contain the element read last.
  V weights[K][K], sums[K], bias;
#pragma GCC unroll 8
  for (int d = 0; d < K; ++d) {
    x[d] = row.x[d] + c;
#pragma GCC unroll 8
    for (int e = 0; e < K; ++e) {
      const int tap = d * K + e;
      std::memcpy(&weights[d][e], row.kernel + (p.flip ? K * K - 1 - tap : tap) * C + c, sizeof(V));
    }
  }
  std::memcpy(&bias, row.bias + c, sizeof(V));
#pragma GCC unroll 8
  for (int e = 0; e < K; ++e) sums[e] = bias;
  const float* next_x = x[K - 1] + W * C;
  float *y = row.y + c, *next_y = y + columns * C;
  // From the first element of the first window to the last of the last one.
  for (int64_t i = -left, done = 1 - K; done < columns; ++i, ++done) {
    if (i >= 0 && i < W) {
#pragma GCC unroll 8
      for (int d = 0; d < K; ++d) {
        V value;
        std::memcpy(&value, x[d] + i * C, sizeof(V));
#pragma GCC unroll 8
        for (int e = 0; e < K; ++e) sums[K - 1 - e] += value * weights[d][e];
      }
    }
    if (done >= 0) {
      V sum = sums[0];
      if (relu) sum = sum < 0.f ? V{} : sum;  // keeps NaN
      std::memcpy(y + done * C, &sum, sizeof(V));
    }
    if (ahead) {
      __builtin_prefetch(next_x + i * C, 0, 3);
      __builtin_prefetch(next_y + done * C, 1, 3);
    }
#pragma GCC unroll 8
    for (int e = 0; e + 1 < K; ++e) sums[e] = sums[e + 1];
    sums[K - 1] = bias;
  }
}

template <int width, int K>
HORNBEAM_INLINE void OneRow(const Depthwise& p, const Row& row) {
  int64_t c = 0;
  for (; c + width <= p.channels; c += width) Channels<width, K>(p, row, c);
  for (; c + 4 <= p.channels; c += 4) Channels<4, K>(p, row, c);
  for (; c < p.channels; ++c) Channels<1, K>(p, row, c);
}

using Rows = void (*)(const Depthwise&, const Row&);

#ifdef HORNBEAM_X86
template <int K>
__attribute__((target("avx512f,avx2,fma"))) void OneRowAvx512(const Depthwise& p, const Row& row) {
  OneRow<16, K>(p, row);
}
template <int K>
__attribute__((target("avx2,fma"))) void OneRowAvx2(const Depthwise& p, const Row& row) {
  OneRow<8, K>(p, row);
}
#endif
template <int K>
void OneRowPortable(const Depthwise& p, const Row& row) {
  OneRow<4, K>(p, row);
}

template <int K>
Rows Choose() {
#ifdef HORNBEAM_X86
  if (GetInstructions() == Instructions::kAvx512) return OneRowAvx512<K>;
  if (GetInstructions() == Instructions::kAvx2) return OneRowAvx2<K>;
#endif
  return OneRowPortable<K>;
}

Rows ForWindow(int64_t window) {
  return window == 3 ? Choose<3>() : window == 5 ? Choose<5>() : nullptr;
}

}  // namespace

bool DepthwiseKnows(int64_t window) { return ForWindow(window) != nullptr; }

void RunDepthwise(xla::ffi::ThreadPool& pool, const Depthwise& p, const float* x, const float* kernel,
                  const float* bias, float* y) {
  const Rows one_row = ForWindow(p.window);
  const int64_t rows = p.images * p.rows, C = p.channels, threads = std::max<int64_t>(1, pool.num_threads());
  const double products = double(rows) * p.columns * C * p.window * p.window;
  // Waking threads costs more than a small convolution.
  const int64_t pieces = products < 1e6 ? 1 : std::min(rows, threads);
  // Arrays that fit into the caches need no prefetching.
  const bool ahead = (p.height * p.width + p.rows * p.columns) * p.images * C > (1 << 20);
  const std::vector<float> zeros(std::max(p.width, int64_t{1}) * C);
  ParallelFor(pool, pieces, [&](int64_t piece) {
    for (int64_t i = rows * piece / pieces; i < rows * (piece + 1) / pieces; ++i) {
      const float* under[8];
      for (int64_t d = 0; d < p.window; ++d) {
        const int64_t place = i % p.rows + d - p.top;
        under[d] = place < 0 || place >= p.height ? zeros.data() : x + (i / p.rows * p.height + place) * p.width * C;
      }
      one_row(p, {under, kernel, bias ? bias : zeros.data(), y + i * p.columns * C, ahead});
    }
  });
}

}  // namespace hornbeam
