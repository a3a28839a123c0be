// Vector types of GCC and Clang, for code that is compiled for several instruction sets.
#pragma once

// Inlined, even into a caller that may use more instructions.
#define HORNBEAM_INLINE inline __attribute__((always_inline))

namespace hornbeam {

// Pass and return vectors only in inlined functions: how they are passed depends on the instruction set.
template <int width>
struct Vector {
  typedef float Type __attribute__((vector_size(sizeof(float) * width)));
};
template <>
struct Vector<1> {
  typedef float Type;
};

}  // namespace hornbeam
