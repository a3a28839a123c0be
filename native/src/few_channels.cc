#include "few_channels.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "instructions.h"
#include "parallel.h"
#include "vectors.h"

namespace hornbeam {
namespace {

constexpr int64_t kFew = 4;

// The operands of one row of outputs.
struct Row {
  int64_t window_rows;      // rows of the window that lie in the image
  const float *x, *kernel;  // pointers to the first of these rows
  const float* bias;
  float* y;
};

// The first of several adjacent outputs, and the columns `from` to `to` of the window that lie in
// the image for all of them.
struct Place {
  int64_t column, filter, from, to;
};

// Returns the sum of a vector.
template <int width>
HORNBEAM_INLINE float Sum(const typename Vector<width>::Type& v) {
  if constexpr (width == 1) {
    return v;
  } else {
    typename Vector<width / 2>::Type halves[2];
    std::memcpy(halves, &v, sizeof(v));
    return Sum<width / 2>(halves[0] + halves[1]);
  }
}

// Computes outputs from few channels, for `count` vectors of filters.
template <int width, int count>
struct FromFew {
  static constexpr int64_t kFilters = width * count;

  template <int columns>
  HORNBEAM_INLINE static void Make(const FewChannels& p, const Row& row, const Place& place) {
    using V = typename Vector<width>::Type;
    const int64_t run = (place.to - place.from) * p.channels, step = p.stride_columns * p.channels;
    V sums[columns][count];
#pragma GCC unroll 16
    for (int j = 0; j < count; ++j) {
      V bias;
      std::memcpy(&bias, row.bias + place.filter + j * width, sizeof(V));
#pragma GCC unroll 16
      for (int i = 0; i < columns; ++i) sums[i][j] = bias;
    }
    for (int64_t d = 0; d < row.window_rows; ++d) {
      const float* x = row.x + d * p.width * p.channels + place.column * step + (place.from - p.left) * p.channels;
      const float* kernel = row.kernel + (d * p.window_columns + place.from) * p.channels * p.filters + place.filter;
      for (int64_t r = 0; r < run; ++r, kernel += p.filters) {
        V weights[count];
#pragma GCC unroll 16
        for (int j = 0; j < count; ++j) std::memcpy(&weights[j], kernel + j * width, sizeof(V));
#pragma GCC unroll 16
        for (int i = 0; i < columns; ++i) {
          const float value = x[i * step + r];
#pragma GCC unroll 16
          for (int j = 0; j < count; ++j) sums[i][j] += value * weights[j];
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < columns; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < count; ++j) {
        V sum = sums[i][j];
        if (p.relu) sum = sum < 0.f ? V{} : sum;  // keeps NaN
        std::memcpy(row.y + (place.column + i) * p.filters + place.filter + j * width, &sum, sizeof(V));
      }
    }
  }
};

// Computes outputs for `count` filters. In the packed kernel, `width` channels of a filter are
// adjacent (see Pack).
template <int width, int count>
struct ToFew {
  static constexpr int64_t kFilters = count;

  template <int columns>
  HORNBEAM_INLINE static void Make(const FewChannels& p, const Row& row, const Place& place) {
    using V = typename Vector<width>::Type;
    const int64_t run = (place.to - place.from) * p.channels, step = p.stride_columns * p.channels;
    V sums[columns][count];
#pragma GCC unroll 16
    for (int i = 0; i < columns; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < count; ++j) sums[i][j] = V{};
    }
    for (int64_t d = 0; d < row.window_rows; ++d) {
      const float* x = row.x + d * p.width * p.channels + place.column * step + (place.from - p.left) * p.channels;
      const float* kernel = row.kernel + (d * p.window_columns + place.from) * p.channels * count;
      for (int64_t r = 0; r < run; r += width, kernel += count * width) {
        V weights[count];
#pragma GCC unroll 16
        for (int j = 0; j < count; ++j) std::memcpy(&weights[j], kernel + j * width, sizeof(V));
#pragma GCC unroll 16
        for (int i = 0; i < columns; ++i) {
          V values;
          std::memcpy(&values, x + i * step + r, sizeof(V));
#pragma GCC unroll 16
          for (int j = 0; j < count; ++j) sums[i][j] += values * weights[j];
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < columns; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < count; ++j) {
        const float sum = Sum<width>(sums[i][j]) + row.bias[j];
        row.y[(place.column + i) * count + j] = p.relu && sum < 0.f ? 0.f : sum;  // keeps NaN
      }
    }
  }
};

// Computes a row of outputs, `columns` at once where all their windows lie in the image.
template <typename Outputs, int columns>
HORNBEAM_INLINE void MakeRow(const FewChannels& p, const Row& row) {
  for (int64_t filter = 0; filter < p.filters; filter += Outputs::kFilters) {
    for (int64_t column = 0; column < p.columns;) {
      const int64_t first = column * p.stride_columns - p.left, last = first + (columns - 1) * p.stride_columns;
      if (first >= 0 && last + p.window_columns <= p.width && column + columns <= p.columns) {
        Outputs::template Make<columns>(p, row, {column, filter, 0, p.window_columns});
        column += columns;
      } else {
        const int64_t from = std::clamp<int64_t>(-first, 0, p.window_columns);
        const int64_t to = std::clamp<int64_t>(p.width - first, from, p.window_columns);
        Outputs::template Make<1>(p, row, {column, filter, from, to});
        ++column;
      }
    }
  }
}

// Chooses the numbers of vectors and columns. The sums fill the registers that weights and inputs
// do not need.
template <int width, int vectors, int columns_from, int columns_to>
HORNBEAM_INLINE void AnyRow(const FewChannels& p, const Row& row) {
  if (p.channels <= kFew) return MakeRow<FromFew<width, vectors>, columns_from>(p, row);
  if (p.filters == 1) return MakeRow<ToFew<width, 1>, columns_to>(p, row);
  if (p.filters == 2) return MakeRow<ToFew<width, 2>, columns_to>(p, row);
  if (p.filters == 3) return MakeRow<ToFew<width, 3>, columns_to>(p, row);
  MakeRow<ToFew<width, 4>, columns_to>(p, row);
}

#ifdef HORNBEAM_X86
__attribute__((target("avx512f,avx2,fma"))) void RowAvx512(const FewChannels& p, const Row& row) {
  AnyRow<16, 4, 6, 6>(p, row);
}
__attribute__((target("avx2,fma"))) void RowAvx2(const FewChannels& p, const Row& row) { AnyRow<8, 2, 6, 4>(p, row); }
#endif
void RowPortable(const FewChannels& p, const Row& row) { AnyRow<4, 2, 6, 4>(p, row); }

struct Way {
  void (*make_row)(const FewChannels&, const Row&);
  int64_t width;
};

Way Choose() {
#ifdef HORNBEAM_X86
  if (GetInstructions() == Instructions::kAvx512) return {RowAvx512, 16};
  if (GetInstructions() == Instructions::kAvx2) return {RowAvx2, 8};
#endif
  return {RowPortable, 4};
}

// Packs the kernel as (window_rows, window_columns, channels, filters), first element first; for
// few filters as (window_rows, window_columns, channels / width, filters, width). This costs little
// compared with the outputs.
std::vector<float> Pack(const FewChannels& p, const float* kernel, int64_t width) {
  const int64_t elements = p.window_rows * p.window_columns, C = p.channels, F = p.filters;
  if (C <= kFew) width = 1;
  std::vector<float> packed(elements * C * F);
  for (int64_t e = 0; e < elements; ++e) {
    for (int64_t c = 0; c < C; ++c) {
      for (int64_t f = 0; f < F; ++f) {
        const float weight = p.turned ? kernel[((elements - 1 - e) * F + f) * C + c] : kernel[(e * C + c) * F + f];
        packed[e * C * F + (c / width * F + f) * width + c % width] = weight;
      }
    }
  }
  return packed;
}

}  // namespace

bool FewChannelsKnows(int64_t channels, int64_t filters) {
  return (channels <= kFew && filters % 64 == 0) || (channels % 16 == 0 && filters <= kFew);
}

void RunFewChannels(xla::ffi::ThreadPool& pool, const FewChannels& p, const float* x, const float* kernel,
                    const float* bias, float* y) {
  const Way way = Choose();
  const std::vector<float> packed = Pack(p, kernel, way.width), zeros(bias ? 0 : p.filters);
  const int64_t rows = p.images * p.rows, size = p.columns * p.filters;
  const double products = double(rows) * size * p.window_rows * p.window_columns * p.channels;
  // Waking threads costs more than a small convolution.
  const int64_t pieces = products < 1e6 ? 1 : std::min(rows, std::max<int64_t>(1, pool.num_threads()));
  ParallelFor(pool, pieces, [&](int64_t piece) {
    for (int64_t i = rows * piece / pieces; i < rows * (piece + 1) / pieces; ++i) {
      const int64_t first = i % p.rows * p.stride_rows - p.top;
      const int64_t from = std::clamp<int64_t>(-first, 0, p.window_rows);
      const int64_t to = std::clamp<int64_t>(p.height - first, from, p.window_rows);
      const float* row = x + (i / p.rows * p.height + first + from) * p.width * p.channels;
      const float* weights = packed.data() + from * p.window_columns * p.channels * p.filters;
      way.make_row(p, {to - from, row, weights, bias ? bias : zeros.data(), y + i * size});
    }
  });
}

}  // namespace hornbeam
