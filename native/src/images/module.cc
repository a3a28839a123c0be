// The Python module `hornbeam_cpu.images`: images of another size.
//
// The functions get the memory of arrays in C order. They work without Python's lock, a batch on
// several threads, and write the result to memory that the caller made.

#include <algorithm>
#include <cstdint>

#include "../host/python.h"
#include "../host/threads.h"
#include "resizing.h"

namespace hornbeam {
namespace {

// An array of pixel numbers of an axis of `size` pixels.
class Numbers {
 public:
  bool Fill(PyObject* object, int64_t size) {
    if (!memory_.Fill(object, false)) return false;
    const int64_t* numbers = memory_.data<int64_t>();
    if (memory_.view.len % 8 || std::any_of(numbers, numbers + count(), [&](int64_t n) { return n < 0 || n >= size; }))
      return Wrong("a number is of no pixel") != nullptr;
    return true;
  }
  const int64_t* data() const { return memory_.data<int64_t>(); }
  int64_t count() const { return memory_.view.len / 8; }

 private:
  Memory memory_;
};

// The neighbors of an axis: a tuple of two arrays of int64 and one of float32.
class NeighborArrays {
 public:
  bool Fill(PyObject* tuple, int64_t size) {
    PyObject *first, *second, *part;
    if (!PyArg_ParseTuple(tuple, "OOO", &first, &second, &part)) return false;
    if (!first_.Fill(first, size) || !second_.Fill(second, size) || !part_.Fill(part, false)) return false;
    if (second_.count() != first_.count() || part_.view.len != Py_ssize_t(first_.count() * sizeof(float)))
      return Wrong("the neighbors differ in number") != nullptr;
    return true;
  }
  Neighbors get() const { return {first_.data(), second_.data(), part_.data<float>(), first_.count()}; }

 private:
  Numbers first_, second_;
  Memory part_;
};

// Calls work(image) for each image, a batch on several threads.
template <typename Work>
void ForImages(int64_t images, int64_t bytes, const Work& work) {
  ForRanges(images, images > 1 ? ThreadsFor(bytes) : 1, [&](int64_t first, int64_t last, int64_t) {
    for (int64_t i = first; i < last; ++i) work(i);
  });
}

template <typename T>
void BetweenAll(const void* from, const Shape& shape, const Neighbors& columns, const Neighbors& rows, float* to) {
  const int64_t before = shape.height * shape.width * shape.channels;
  const int64_t after = rows.count * columns.count * shape.channels;
  ForImages(shape.images, shape.images * (before * sizeof(T) + after * sizeof(float)), [&](int64_t i) {
    ResizeBetween(static_cast<const T*>(from) + i * before, shape, columns, rows, to + i * after);
  });
}

// between(x, shape, is_float, columns, rows, out): images between pixels. `x` is float32 or uint8,
// `columns` and `rows` are neighbors, `out` is float32.
PyObject* Between(PyObject* arguments) {
  PyObject *from_object, *columns_object, *rows_object, *out_object;
  Shape shape;
  int is_float;
  if (!PyArg_ParseTuple(arguments, "O(nnnn)pOOO", &from_object, &shape.images, &shape.height, &shape.width,
                        &shape.channels, &is_float, &columns_object, &rows_object, &out_object))
    return nullptr;
  Memory from, out;
  NeighborArrays columns, rows;
  if (!columns.Fill(columns_object, shape.width) || !rows.Fill(rows_object, shape.height)) return nullptr;
  if (!from.Fill(from_object, false) || !out.Fill(out_object, true)) return nullptr;
  const int64_t before = shape.images * shape.height * shape.width * shape.channels * (is_float ? 4 : 1);
  const int64_t after = shape.images * rows.get().count * columns.get().count * shape.channels * sizeof(float);
  if (from.view.len != before || out.view.len != after) return Wrong("between: sizes differ");
  {
    WithoutLock without;
    const auto all = is_float ? BetweenAll<float> : BetweenAll<uint8_t>;
    all(from.view.buf, shape, columns.get(), rows.get(), out.data<float>());
  }
  Py_RETURN_NONE;
}

// sums(x, (outer, before, inner), pixels, weights, terms, out): weighted sums along the middle axis.
// `x`, `weights` and `out` are float32; `pixels` and `weights` have `terms` rows.
PyObject* Sums(PyObject* arguments) {
  PyObject *from_object, *pixels_object, *weights_object, *out_object;
  int64_t outer, before, inner, terms;
  if (!PyArg_ParseTuple(arguments, "O(nnn)OOnO", &from_object, &outer, &before, &inner, &pixels_object,
                        &weights_object, &terms, &out_object))
    return nullptr;
  Memory from, weights, out;
  Numbers pixels;
  if (!pixels.Fill(pixels_object, before)) return nullptr;
  if (!from.Fill(from_object, false) || !weights.Fill(weights_object, false) || !out.Fill(out_object, true))
    return nullptr;
  const int64_t after = terms > 0 ? pixels.count() / terms : 0;
  if (after * terms != pixels.count() || weights.view.len != pixels.count() * 4 ||
      from.view.len != outer * before * inner * 4 || out.view.len != outer * after * inner * 4)
    return Wrong("sums: sizes differ");
  {
    WithoutLock without;
    for (int64_t i = 0; i < outer; ++i)
      WriteSums(from.data<float>() + i * before * inner, before, inner, pixels.data(), weights.data<float>(), terms,
                after, out.data<float>() + i * after * inner);
  }
  Py_RETURN_NONE;
}

// nearest(x, (images, height, width, bytes), rows, columns, out): the chosen rows and columns of
// images whose pixels have so many bytes.
PyObject* Nearest(PyObject* arguments) {
  PyObject *from_object, *rows_object, *columns_object, *out_object;
  Shape shape;
  if (!PyArg_ParseTuple(arguments, "O(nnnn)OOO", &from_object, &shape.images, &shape.height, &shape.width,
                        &shape.channels, &rows_object, &columns_object, &out_object))
    return nullptr;
  Memory from, out;
  Numbers rows, columns;
  if (!rows.Fill(rows_object, shape.height) || !columns.Fill(columns_object, shape.width)) return nullptr;
  if (!from.Fill(from_object, false) || !out.Fill(out_object, true)) return nullptr;
  const int64_t before = shape.height * shape.width * shape.channels;
  const int64_t after = rows.count() * columns.count() * shape.channels;
  if (from.view.len != shape.images * before || out.view.len != shape.images * after)
    return Wrong("nearest: sizes differ");
  {
    WithoutLock without;
    ForImages(shape.images, shape.images * after, [&](int64_t i) {
      WriteNearest(from.data<char>() + i * before, shape.width, shape.channels, rows.data(), rows.count(),
                   columns.data(), columns.count(), out.data<char>() + i * after);
    });
  }
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"between", Guarded<Between>, METH_VARARGS, nullptr},
    {"sums", Guarded<Sums>, METH_VARARGS, nullptr},
    {"nearest", Guarded<Nearest>, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {PyModuleDef_HEAD_INIT, "hornbeam_cpu.images", nullptr, 0, functions, nullptr, nullptr, nullptr,
                      nullptr};

}  // namespace
}  // namespace hornbeam

PyMODINIT_FUNC PyInit_images() { return PyModuleDef_Init(&hornbeam::module); }
