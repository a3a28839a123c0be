// Vector types of GCC and Clang, for code that is compiled for several instruction sets.
#pragma once

// Inlines even into a function that is compiled for a larger instruction set.
#define HORNBEAM_INLINE inline __attribute__((always_inline))

namespace hornbeam {

// Pass and return vectors only in inlined functions, because the calling convention depends on the
// instruction set.
template <int width>
struct Vector {
  typedef float Type __attribute__((vector_size(sizeof(float) * width)));
};
template <>
struct Vector<1> {
  typedef float Type;
};

}  // namespace hornbeam
