// What functions that Python calls share: the lock, memory of arrays, and errors.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <new>
#include <stdexcept>
#include <utility>

namespace hornbeam {

// Runs without Python's lock, unless `keep` is true.
class WithoutLock {
 public:
  explicit WithoutLock(bool keep = false) : state_(keep ? nullptr : PyEval_SaveThread()) {}
  ~WithoutLock() {
    if (state_) PyEval_RestoreThread(state_);
  }

 private:
  PyThreadState* state_;
};

// Memory of an object, such as an array.
class Memory {
 public:
  ~Memory() {
    if (view.obj) PyBuffer_Release(&view);
  }
  bool Fill(PyObject* object, bool writable) {
    return PyObject_GetBuffer(object, &view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) == 0;
  }
  template <typename T>
  T* data() const {
    return static_cast<T*>(view.buf);
  }
  Py_buffer view = {};
};

class Reference {
 public:
  explicit Reference(PyObject* object) : object_(object) {
    if (!object) throw std::bad_alloc();
  }
  ~Reference() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }

 private:
  PyObject* object_;
};

inline PyObject* NotMine() {
  PyErr_Clear();
  Py_RETURN_NONE;
}

inline PyObject* Wrong(const char* what) {
  PyErr_SetString(PyExc_ValueError, what);
  return nullptr;
}

// Runs a function with C++'s exceptions as Python's.
template <PyObject* (*Function)(PyObject*)>
PyObject* Guarded(PyObject*, PyObject* arguments) {
  try {
    return Function(arguments);
  } catch (const std::bad_alloc&) {
    return PyErr_Occurred() ? nullptr : PyErr_NoMemory();
  } catch (const std::length_error&) {
    return PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
}

}  // namespace hornbeam
