// Vectors of numbers as GCC and Clang offer them, for code that is compiled for several instruction sets.
#pragma once

// Into a caller that may use more instructions.
#define HORNBEAM_INLINE inline __attribute__((always_inline))

namespace hornbeam {

// Never passed to or returned by functions that are not inlined: how vectors travel depends on the instruction set.
template <int width>
struct Vector {
  typedef float Type __attribute__((vector_size(sizeof(float) * width)));
};
template <>
struct Vector<1> {
  typedef float Type;
};

}  // namespace hornbeam
