// python/src/operators.h: the number and comparison slots of the array type.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>

#include "convert.h"

/** Sets the Python error for the exception being handled. */
void set_python_error();

/** Runs f, a body of a type slot; turns C++ exceptions into Python ones. */
template <typename F>
PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}
template <typename F>
int guarded_int(F&& f) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return -1;
  }
}

/** The slots, ended by {0, nullptr}. */
const std::vector<PyType_Slot>& operator_slots();

// indexing.cpp
PyObject* array_subscript(PyObject* self, PyObject* key);
int array_assign_subscript(PyObject* self, PyObject* key, PyObject* value);
