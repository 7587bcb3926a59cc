// How programs and their batches come in from Python.
#pragma once

#include "bind/bind.h"
#include "program/program.h"

namespace tidegate {

// Has a program to itself while it exists; raises InputError where another thread has it.
template <class T>
class Alone {
 public:
  explicit Alone(Program<T>& program) : program_(program) {
    if (program.enter()) return;
    refuse("InputError", "another thread runs this program. Give each thread one of its own, or a lock.");
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
  ~Alone() { program_.leave(); }

 private:
  Program<T>& program_;
};

template <class T>
Sequenced<T> sequenced(nb::handle values, In<Index> offsets) {
  Sequenced<T> batch{};
  batch.B = static_cast<Index>(offsets.shape(0)) - 1;
  batch.N = offsets.data()[batch.B];
  batch.offsets = offsets.data();
  if (nb::isinstance<nb::tuple>(values)) {  // ids; the numbers beside each, or None; where pairs are cut, or None
    batch.ids = input<std::int32_t>(values[0]);
    batch.x = input<T>(values[1]);
    batch.cut = input<Index>(values[2]);
    return batch;
  }
  const auto array = nb::cast<nb::ndarray<nb::c_contig, nb::device::cpu, nb::ro>>(values, false);
  if (array.dtype() == nb::dtype<std::int32_t>()) {
    batch.ids = static_cast<const std::int32_t*>(array.data());
  } else {
    batch.x = input<T>(values);
  }
  return batch;
}

// The same for a program, which may want to have been told how large its images are.
template <class T>
Sequenced<T> sequenced(const Program<T>& program, nb::handle values, In<Index> offsets) {
  if (program.wants_images() && !program.images()) {
    refuse("ShapeError", "the program reads images, and was not told their sizes.");
  }
  return sequenced<T>(values, offsets);
}

}  // namespace tidegate
