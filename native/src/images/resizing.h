// Images of another size: between pixels, by weighted sums, and by the nearest pixel.
//
// Each sum is rounded as NumPy rounds it in hornbeam/utils/resizing.py, so both give the same bits.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace hornbeam {

// The two pixels that each pixel of a resized axis is between, and how far it is.
struct Neighbors {
  const int64_t* first;
  const int64_t* second;
  const float* part;
  int64_t count;
};

// A batch of images: (images, height, width, channels).
struct Shape {
  int64_t images, height, width, channels;
};

inline __m128 FourNumbers(const float* from) { return _mm_loadu_ps(from); }

inline __m128 FourNumbers(const uint8_t* from) {
  int32_t four;
  std::memcpy(&four, from, sizeof(four));
  const __m128i zero = _mm_setzero_si128();
  return _mm_cvtepi32_ps(_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero), zero));
}

// Writes a row of pixels between those of another row. `to` has room for one number more.
template <typename T>
void WriteRow(const T* from, int64_t width, int64_t channels, const Neighbors& columns, float* to) {
  int64_t j = 0;
  if (channels == 3 || channels == 4) {
    // Four numbers at once. The fourth of three channels belongs to the next pixel, so the last pixel
    // of a row is left to the loop below, and each pixel is written over the end of the one before.
    const int64_t last = width * channels - 4;
    for (; j < columns.count && columns.second[j] * channels <= last; ++j) {
      const __m128 first = FourNumbers(from + columns.first[j] * channels);
      const __m128 second = FourNumbers(from + columns.second[j] * channels);
      const __m128 step = _mm_mul_ps(_mm_sub_ps(second, first), _mm_set1_ps(columns.part[j]));
      _mm_storeu_ps(to + j * channels, _mm_add_ps(step, first));
    }
  }
  for (; j < columns.count; ++j) {
    const T* first = from + columns.first[j] * channels;
    const T* second = from + columns.second[j] * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float start = first[c], step = float(second[c]) - start;
      to[j * channels + c] = step * columns.part[j] + start;
    }
  }
}

inline void WriteBetween(const float* above, const float* below, float part, int64_t count, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = (below[i] - above[i]) * part + above[i];
}

// Resizes one image: columns first, then rows.
template <typename T>
void ResizeBetween(const T* from, const Shape& shape, const Neighbors& columns, const Neighbors& rows, float* to) {
  const int64_t count = columns.count * shape.channels;
  std::vector<float> memory[2] = {std::vector<float>(count + 1), std::vector<float>(count + 1)};
  int64_t held[2] = {-1, -1};  // the rows in memory
  const auto fill = [&](int place, int64_t row) {
    if (held[place] == row) return;
    WriteRow(from + row * shape.width * shape.channels, shape.width, shape.channels, columns, memory[place].data());
    held[place] = row;
  };
  for (int64_t i = 0; i < rows.count; ++i) {
    if (held[1] == rows.first[i]) {
      std::swap(memory[0], memory[1]);
      std::swap(held[0], held[1]);
    }
    fill(0, rows.first[i]);
    fill(1, rows.second[i]);
    WriteBetween(memory[0].data(), memory[1].data(), rows.part[i], count, to + i * count);
  }
}

// Writes sums of `terms` pixels along an axis of `before` pixels with `inner` numbers each. Term k of
// pixel j is pixel pixels[k * after + j] times weights[k * after + j].
inline void WriteSums(const float* from, int64_t before, int64_t inner, const int64_t* pixels, const float* weights,
                      int64_t terms, int64_t after, float* __restrict to) {
  for (int64_t j = 0; j < after; ++j, to += inner) {
    // Three channels as four numbers, as in `WriteRow`. The numbers of the pixels increase with k.
    if (inner == 3 && j + 1 < after && pixels[(terms - 1) * after + j] + 1 < before) {
      __m128 sum = _mm_mul_ps(_mm_loadu_ps(from + pixels[j] * 3), _mm_set1_ps(weights[j]));
      for (int64_t k = 1; k < terms; ++k) {
        const __m128 pixel = _mm_loadu_ps(from + pixels[k * after + j] * 3);
        sum = _mm_add_ps(sum, _mm_mul_ps(pixel, _mm_set1_ps(weights[k * after + j])));
      }
      _mm_storeu_ps(to, sum);
      continue;
    }
    for (int64_t k = 0; k < terms; ++k) {
      const float* pixel = from + pixels[k * after + j] * inner;
      const float weight = weights[k * after + j];
      if (k == 0) {
        for (int64_t i = 0; i < inner; ++i) to[i] = pixel[i] * weight;
      } else {
        for (int64_t i = 0; i < inner; ++i) to[i] += pixel[i] * weight;
      }
    }
  }
}

template <int64_t kBytes>
void TakePixels(const char* from, const int64_t* columns, int64_t count, char* to) {
  for (int64_t j = 0; j < count; ++j) std::memcpy(to + j * kBytes, from + columns[j] * kBytes, kBytes);
}

// Writes the chosen rows and columns of one image, whose pixels have `bytes` bytes.
inline void WriteNearest(const char* from, int64_t width, int64_t bytes, const int64_t* rows, int64_t height_after,
                         const int64_t* columns, int64_t width_after, char* to) {
  const int64_t row_bytes = width_after * bytes;
  for (int64_t i = 0; i < height_after; ++i, to += row_bytes) {
    const char* row = from + rows[i] * width * bytes;
    if (i && rows[i] == rows[i - 1]) {
      std::memcpy(to, to - row_bytes, row_bytes);
    } else if (bytes == 1) {
      TakePixels<1>(row, columns, width_after, to);
    } else if (bytes == 3) {
      TakePixels<3>(row, columns, width_after, to);
    } else if (bytes == 4) {
      TakePixels<4>(row, columns, width_after, to);
    } else if (bytes == 12) {
      TakePixels<12>(row, columns, width_after, to);
    } else {
      for (int64_t j = 0; j < width_after; ++j) std::memcpy(to + j * bytes, row + columns[j] * bytes, bytes);
    }
  }
}

}  // namespace hornbeam
