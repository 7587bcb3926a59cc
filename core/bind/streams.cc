// Programs over live sequences.
#include "program/streams.h"

#include <nanobind/stl/vector.h>

#include <algorithm>

#include "bind/bind.h"
#include "bind/unlocked.h"

namespace tidegate {
namespace {

// What came instead of rows that a stream takes.
enum Refused : int { kNotFinite = -1, kNoRow = -2, kBusy = -3, kSlots = -4 };

template <class T>
bool finite(const T* x, Index count) {
  bool all = true;
  for (Index i = 0; i < count; ++i) all &= x[i] - x[i] == 0;
  return all;
}

bool within(const std::int32_t* ids, Index count, Index V) {
  return std::all_of(ids, ids + count, [V](std::int32_t id) { return id >= 0 && id < V; });
}

// Does something short with slots of streams that no other thread steps; returns kBusy, and does nothing, where one
// does, or kSlots where there are no such slots.
template <class T, class F>
Index alone(Streams<T>& self, std::initializer_list<Index> slots, const F& f) {
  for (const Index slot : slots) {
    if (!self.distinct(&slot, 1)) return kSlots;
  }
  if (!self.enter()) return kBusy;
  f();
  self.leave();
  return 0;
}

// Returns the rows of output, of which there is room for `most`, or what was refused, in which case nothing has
// changed.
template <class T>
Index take(Streams<T>& self, const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids,
           bool ending, T* out, Index most, int threads) {
  if (x && !finite(x, offsets[n] * self.width())) return kNotFinite;
  if (ids && !within(ids, offsets[n], self.vocabulary())) return kNoRow;
  if (!self.enter()) return kBusy;
  Index rows = 0;
  try {
    if (!self.distinct(slot, n)) {
      self.leave();
      return kSlots;
    }
    for (Index i = 0; i < n; ++i) rows += self.rows_after(slot[i], offsets[i + 1] - offsets[i], ending);
    if (rows > most) {  // another thread has stepped since `out` was made
      self.leave();
      return kBusy;
    }
    unlocked(false, [&] { self.run(slot, offsets, n, x, ids, ending, out, threads); });
  } catch (...) {
    self.leave();
    throw;
  }
  self.leave();
  return rows;
}

template <class T>
void define_of(nb::module_& m, const char* name) {
  using Self = Streams<T>;
  nb::class_<Self>(m, name)
      .def(nb::init<Program<T>&, Index, const std::vector<Index>&>(), "program"_a, "capacity"_a, "ahead"_a,
           nb::keep_alive<1, 2>())
      .def_prop_ro("width", &Self::width)
      .def_prop_ro("vocabulary", &Self::vocabulary)
      .def_prop_ro("out", &Self::out)
      .def_prop_ro("pooled", &Self::pooled)
      .def_prop_ro("lookahead", &Self::lookahead)
      .def_prop_ro("at_once", &Self::at_once)
      .def(
          "step",  // one slot by one row of features
          [](Self& self, Index slot, nb::handle x, nb::handle out, int threads) {
            const Index offsets[2] = {0, 1};
            const Matrix<T> from(x, 1, self.width()), to(out, 1, self.out(), PyBUF_WRITABLE);
            return take<T>(self, &slot, offsets, 1, from.data(), nullptr, false, to.data(), 1, threads);
          },
          "slot"_a, "x"_a, "out"_a, "threads"_a)
      .def(
          "step_token",
          [](Self& self, Index slot, Index token, nb::handle out, int threads) -> Index {
            if (token < 0 || token >= self.vocabulary()) return kNoRow;
            const Index offsets[2] = {0, 1};
            const std::int32_t id = static_cast<std::int32_t>(token);
            const Matrix<T> to(out, 1, self.out(), PyBUF_WRITABLE);
            return take<T>(self, &slot, offsets, 1, nullptr, &id, false, to.data(), 1, threads);
          },
          "slot"_a, "token"_a, "out"_a, "threads"_a)
      .def(
          "run",
          [](Self& self, In<Index> slots, In<Index> offsets, nb::object x, nb::object ids, bool ending, Array<T> out,
             int threads) {
            return take<T>(self, slots.data(), offsets.data(), static_cast<Index>(slots.size()), input<T>(x),
                           input<std::int32_t>(ids), ending, out.data(), static_cast<Index>(out.shape(0)), threads);
          },
          "slots"_a.noconvert(), "offsets"_a.noconvert(), "x"_a.none(), "ids"_a.none(), "ending"_a, "out"_a.noconvert(),
          "threads"_a)
      .def(
          "rows_after",
          [](Self& self, Index slot, Index steps, bool ending) {
            return self.distinct(&slot, 1) ? self.rows_after(slot, steps, ending) : Index(kSlots);
          },
          "slot"_a, "steps"_a, "ending"_a)
      .def(
          "steps", [](Self& self, Index slot) { return self.distinct(&slot, 1) ? self.steps(slot) : Index(kSlots); },
          "slot"_a)
      .def(
          "clear", [](Self& self, Index slot) { return alone(self, {slot}, [&] { self.clear(slot); }); }, "slot"_a)
      .def(
          "copy",
          [](Self& self, Index from, Index to) { return alone(self, {from, to}, [&] { self.copy(from, to); }); },
          "from"_a, "to"_a)
      .def_prop_ro("numbers", &Self::numbers)
      .def(
          "read",
          [](Self& self, Index slot, Array<T> to) {
            Index steps = 0;
            const Index why = alone(self, {slot}, [&] { self.read(slot, to.data()), steps = self.steps(slot); });
            return why ? why : steps;
          },
          "slot"_a, "to"_a.noconvert())
      .def(
          "write",
          [](Self& self, Index slot, In<T> from, Index steps) {
            return alone(self, {slot}, [&] { self.write(slot, from.data(), steps); });
          },
          "slot"_a, "from"_a.noconvert(), "steps"_a);
}

}  // namespace

void define_streams(nb::module_& m) {
  define_of<float>(m, "Streams32");
  define_of<double>(m, "Streams64");
}

}  // namespace tidegate
