// Texts that come from Python, as bytes in UTF-8.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hornbeam {

// What to do with half of a surrogate pair, which UTF-8 cannot represent.
enum class Surrogates { kRefuse, kKeep };

// Appends a code point. Returns false if there is no such character.
inline bool AppendUtf8(uint32_t c, Surrogates surrogates, std::string& to) {
  if (c < 0x80) {
    to += char(c);
  } else if (c < 0x800) {
    to += {char(0xC0 | c >> 6), char(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    if (c >= 0xD800 && c < 0xE000 && surrogates == Surrogates::kRefuse) return false;
    to += {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
  } else if (c < 0x110000) {
    to += {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 63)), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
  } else {
    return false;
  }
  return true;
}

// Returns the number of bytes of the character at the start of `text`, which is not empty; 0 if the
// bytes are no valid UTF-8.
inline size_t CharacterSize(std::string_view text) {
  const auto at = [&](size_t i) { return uint8_t(text[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  // Longer than needed, half of a surrogate pair, or above the last character.
  if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) >= 0xA0)) return 0;
  if ((first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) >= 0x90)) return 0;
  return size;
}

inline bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

constexpr int64_t kAhead = 16;  // objects whose memory is on its way

// Calls work(object, i) for objects, while the memory of the next ones is on its way. Returns false
// if `work` does.
template <typename Work>
bool ForObjects(PyObject* const* objects, int64_t count, const Work& work) {
  for (int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) __builtin_prefetch(objects[i + kAhead]);
    if (!objects[i] || !work(objects[i], i)) return false;
  }
  return true;
}

// A list of `str` and `bytes`, or an array of NumPy's dtype `S`, `U`, `O` or `StringDType`.
//
// Fill it with Python's lock. After that it can be read without the lock: it owns a reference to
// each text, or to the array. Only if `Reading` is `kOnce` and `needs_lock()`, some thread must hold the
// lock while texts are read; then no reference to each text and no list of texts is made.
enum class Reading { kOften, kOnce };

class Texts {
 public:
  Texts() = default;
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  ~Texts() {
    if (allocator_) NpyString_release_allocator(allocator_);
    if (buffer_.obj) PyBuffer_Release(&buffer_);
    for (PyObject* object : held_) Py_DECREF(object);
  }

  // `source` is a list; a tuple of an array's bytes, "S" or "U", and the bytes of an item; or a tuple
  // of an array, "O" or "T" (`StringDType`), and the bytes of an item. Arrays are contiguous.
  // Returns false if it is something else, or holds something else; a Python error may be set.
  bool Fill(PyObject* source, Surrogates surrogates, Reading reading = Reading::kOften) {
    surrogates_ = surrogates;
    if (PyList_Check(source)) return FillFromObjects(PySequence_Fast_ITEMS(source), PyList_GET_SIZE(source));
    const char* kind = nullptr;
    PyObject* array = nullptr;
    if (!PyArg_ParseTuple(source, "Osn", &array, &kind, &item_size_)) return false;
    if (kind[0] == 'T') return FillFromStrings(array, reading);
    if (kind[0] == 'O') {
      if (!PyArray_Check(array)) return false;
      auto* objects = reinterpret_cast<PyArrayObject*>(array);
      if (PyArray_TYPE(objects) != NPY_OBJECT || !PyArray_IS_C_CONTIGUOUS(objects)) return false;
      auto* items = static_cast<PyObject**>(PyArray_DATA(objects));
      if (reading == Reading::kOften) return FillFromObjects(items, PyArray_SIZE(objects));
      Keep(array);
      objects_ = items;
      size_ = PyArray_SIZE(objects);
      bytes_ = 64 * size_;
      has_bytes_ = true;
      return true;
    }
    if (PyObject_GetBuffer(array, &buffer_, PyBUF_SIMPLE) != 0) return false;
    wide_ = kind[0] == 'U';
    if (item_size_ <= 0 || buffer_.len % item_size_ || (wide_ && item_size_ % 4)) return false;
    has_bytes_ = !wide_;
    size_ = buffer_.len / item_size_;
    bytes_ = buffer_.len;
    return true;
  }

  int64_t size() const { return size_; }

  // The memory that the texts take, about.
  int64_t bytes() const { return bytes_; }

  // Whether a text may be no valid UTF-8: `bytes` are what the user says they are.
  bool may_be_invalid() const { return has_bytes_; }

  // The bytes of each text and the zeros after it, in an array of dtype `S`; else 0.
  size_t padded_size() const { return buffer_.obj && !wide_ ? item_size_ : 0; }
  const char* Padded(int64_t i) const { return static_cast<const char*>(buffer_.buf) + i * item_size_; }

  bool needs_lock() const { return objects_ || allocator_; }

  // Returns a text. It may be in `memory`, and is valid until the next call with that.
  // Sets `valid` to false if the text cannot be represented in UTF-8, or is no text.
  std::string_view Get(int64_t i, std::string& memory, bool& valid) const {
    if (objects_) return GetObject(i, memory, valid);
    if (allocator_) return GetString(i, valid);
    if (!buffer_.obj) return views_[i];
    const char* item = static_cast<const char*>(buffer_.buf) + i * item_size_;
    if (!wide_) return {item, Length(item, item_size_)};
    const size_t count = item_size_ / 4;
    if (memory.size() < count) memory.resize(count);
    const auto at = [&](size_t k) {
      uint32_t c;
      std::memcpy(&c, item + 4 * k, 4);
      return c;
    };
    uint32_t all = 0;
    char* to = memory.data();
    for (size_t k = 0; k < count; ++k) {
      all |= at(k);
      to[k] = char(at(k));
    }
    if (all < 0x80) return {to, Length(to, count)};
    size_t length = count;
    while (length && at(length - 1) == 0) --length;
    memory.clear();
    for (size_t k = 0; k < length; ++k)
      if (!AppendUtf8(at(k), surrogates_, memory)) valid = false;
    return memory;
  }

 private:
  // As in NumPy, zeros at the end are no part of a text.
  static size_t Length(const char* text, size_t length) {
    uint64_t word;
    for (; length >= 8; length -= 8) {
      std::memcpy(&word, text + length - 8, 8);
      if (word) return length - __builtin_clzll(word) / 8;
    }
    if (uint32_t half; length >= 4) {
      std::memcpy(&half, text + length - 4, 4);
      if (half) return length - __builtin_clz(half) / 8;
      length -= 4;
    }
    while (length && text[length - 1] == 0) --length;
    return length;
  }

  // Reads an object's memory only, so any thread may do it while another one holds the lock.
  std::string_view GetObject(int64_t i, std::string& memory, bool& valid) const {
    if (i + kAhead < size_) __builtin_prefetch(objects_[i + kAhead]);
    PyObject* item = objects_[i];
    if (item && PyUnicode_Check(item)) {
      const Py_ssize_t length = PyUnicode_GET_LENGTH(item);
      if (PyUnicode_IS_COMPACT_ASCII(item)) return {static_cast<const char*>(PyUnicode_DATA(item)), size_t(length)};
      const int kind = PyUnicode_KIND(item);
      const void* data = PyUnicode_DATA(item);
      memory.clear();
      for (Py_ssize_t k = 0; k < length; ++k)
        if (!AppendUtf8(PyUnicode_READ(kind, data, k), surrogates_, memory)) valid = false;
      return memory;
    }
    if (item && PyBytes_Check(item)) return {PyBytes_AS_STRING(item), size_t(PyBytes_GET_SIZE(item))};
    valid = false;
    return {};
  }

  std::string_view GetString(int64_t i, bool& valid) const {
    npy_static_string text = {0, nullptr};
    const auto* packed = reinterpret_cast<const npy_packed_static_string*>(strings_ + i * item_size_);
    if (NpyString_load(allocator_, packed, &text) != 0) valid = false;
    return {text.buf, text.size};
  }

  void Keep(PyObject* object) {
    Py_INCREF(object);
    held_.push_back(object);
  }

  bool FillFromObjects(PyObject* const* objects, int64_t count) {
    // Other threads may change the list or array, but not while this one holds Python's lock.
    // Encoding a `str` runs no Python code.
    size_ = count;
    views_.reserve(size_);
    held_.reserve(size_);
    const bool all_texts = ForObjects(objects, count, [&](PyObject* item, int64_t) {
      if (PyUnicode_Check(item) && PyUnicode_IS_COMPACT_ASCII(item)) {
        Hold(item, static_cast<const char*>(PyUnicode_DATA(item)), PyUnicode_GET_LENGTH(item));
      } else if (PyUnicode_Check(item)) {
        const char* errors = surrogates_ == Surrogates::kKeep ? "surrogatepass" : "strict";
        PyObject* encoded = PyUnicode_AsEncodedString(item, "utf-8", errors);
        if (!encoded) return false;
        Hold(encoded, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
        Py_DECREF(encoded);
      } else if (PyBytes_Check(item)) {
        has_bytes_ = true;
        Hold(item, PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item));
      } else {
        return false;
      }
      return true;
    });
    bytes_ += 16 * size_;
    return all_texts;
  }

  // Short texts are read in the array itself, which is held. Longer ones are copied, because other
  // threads may change the array and free them.
  bool FillFromStrings(PyObject* object, Reading reading) {
    if (!PyArray_Check(object)) return false;
    auto* array = reinterpret_cast<PyArrayObject*>(object);
    if (PyArray_TYPE(array) != NPY_VSTRING || !PyArray_IS_C_CONTIGUOUS(array)) return false;
    if (PyArray_ITEMSIZE(array) != item_size_) return false;
    Keep(object);
    size_ = PyArray_SIZE(array);
    auto* dtype = reinterpret_cast<PyArray_StringDTypeObject*>(PyArray_DESCR(array));
    if (reading == Reading::kOnce) {
      strings_ = PyArray_BYTES(array);
      bytes_ = 64 * size_;
      allocator_ = NpyString_acquire_allocator(dtype);
      return true;
    }
    views_.reserve(size_);
    const char* item = PyArray_BYTES(array);
    const char* const end = item + size_ * item_size_;
    npy_string_allocator* allocator = NpyString_acquire_allocator(dtype);
    bool all_texts = true;
    for (; item < end && all_texts; item += item_size_) {
      npy_static_string text = {0, nullptr};
      all_texts = NpyString_load(allocator, reinterpret_cast<const npy_packed_static_string*>(item), &text) == 0;
      const bool is_inside = text.buf >= item && text.buf < item + item_size_;
      views_.emplace_back(is_inside || !text.size ? text.buf : Copy(text.buf, text.size), text.size);
      bytes_ += text.size;
    }
    NpyString_release_allocator(allocator);
    bytes_ += 16 * size_;
    return all_texts;
  }

  const char* Copy(const char* text, size_t size) {
    if (size > free_) {
      free_ = std::max(size, kBlock);
      blocks_.emplace_back(new char[free_]);
      next_ = blocks_.back().get();
    }
    char* to = next_;
    std::memcpy(to, text, size);
    next_ += size;
    free_ -= size;
    return to;
  }

  void Hold(PyObject* object, const char* text, size_t size) {
    Keep(object);
    views_.emplace_back(text, size);
    bytes_ += size;
  }

  Surrogates surrogates_ = Surrogates::kRefuse;
  int64_t size_ = 0, bytes_ = 0;
  std::vector<std::string_view> views_;
  std::vector<PyObject*> held_;
  PyObject* const* objects_ = nullptr;
  npy_string_allocator* allocator_ = nullptr;
  const char* strings_ = nullptr;
  static constexpr size_t kBlock = 1 << 20;
  std::vector<std::unique_ptr<char[]>> blocks_;  // of copied texts
  char* next_ = nullptr;
  size_t free_ = 0;
  Py_buffer buffer_ = {};
  Py_ssize_t item_size_ = 0;
  bool wide_ = false, has_bytes_ = false;
};

}  // namespace hornbeam
