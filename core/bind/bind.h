// What the files of the binding share: arrays in, arrays filled. Every array is C-contiguous and of the right shape and
// type, which the Python above sees to; the interpreter lock is free while a kernel runs.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <new>
#include <string>
#include <string_view>

#include "layer/layer.h"

namespace tidegate {

namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using In = Array<const T>;

template <class T>
T* pointer(nb::handle object) {
  return object.is_none() ? nullptr : nb::cast<Array<T>>(object, false).data();
}

template <class T>
const T* input(nb::handle object) {
  return object.is_none() ? nullptr : nb::cast<In<T>>(object, false).data();
}

// A direction is a tuple (w_ih, w_hh, b_ih, b_hh, reverse, h0, c0, mask).
template <class T>
Direction<T> direction(nb::handle object) {
  const nb::tuple t = nb::cast<nb::tuple>(object);
  Direction<T> d{};
  d.w_ih = input<T>(t[0]);
  d.w_hh = input<T>(t[1]);
  d.b_ih = input<T>(t[2]);
  d.b_hh = input<T>(t[3]);
  d.reverse = nb::cast<bool>(t[4]);
  d.h0 = input<T>(t[5]);
  d.c0 = input<T>(t[6]);
  d.mask = input<T>(t[7]);
  return d;
}

inline void check(Status status, Index bad_token) {
  if (status == Status::kOutOfMemory) throw std::bad_alloc();
  if (status == Status::kBadToken) {
    throw nb::index_error(std::to_string(bad_token).c_str());
  }
}

// A contiguous matrix, or a vector where one row is wanted. A step of a stream is so short that nanobind's own arrays
// would show.
template <class T>
class Matrix {
 public:
  Matrix(nb::handle object, Index rows, Index columns, int flags = 0) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) throw nb::python_error();
    const bool fits = view_.ndim == 2 ? view_.shape[0] == rows && view_.shape[1] == columns
                                      : view_.ndim == 1 && rows == 1 && view_.shape[0] == columns;
    if (fits && std::string_view(view_.format) == (sizeof(T) == 4 ? "f" : "d")) return;
    PyBuffer_Release(&view_);
    throw nb::value_error("another shape or type is wanted");
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() { PyBuffer_Release(&view_); }
  T* data() const { return static_cast<T*>(view_.buf); }

 private:
  Py_buffer view_;
};

// Raises one of the library's own errors.
[[noreturn]] inline void refuse(const char* error, const char* why) {
  PyErr_SetString(nb::module_::import_("tidegate.errors").attr(error).ptr(), why);
  throw nb::python_error();
}

// What each file adds to the module.
void define_cells(nb::module_& m);
void define_layers(nb::module_& m);
void define_crf(nb::module_& m);
void define_ctc(nb::module_& m);
void define_decode(nb::module_& m);
void define_grid(nb::module_& m);
void define_streams(nb::module_& m);
void define_decoder(nb::module_& m);
void define_sampler(nb::module_& m);
void define_lanes(nb::module_& m);
void define_program(nb::module_& m);
void define_losses(nb::module_& m);
void define_text(nb::module_& m);

}  // namespace tidegate
