// One half of a training step, in parts that several programs may share.
#include "bind/bind.h"
#include "bind/programs.h"
#include "bind/unlocked.h"
#include "machine/denormals.h"

namespace tidegate {
namespace {

// lane_of [B]; returns how many lanes there are.
template <class T>
int deal(Program<T>& program, In<Index> offsets, Array<std::int32_t> lane_of) {
  Sequenced<T> batch{};
  batch.B = static_cast<Index>(offsets.shape(0)) - 1;
  batch.offsets = offsets.data();
  return program.deal(batch, lane_of.data());
}

template <class T>
void run_lanes(Program<T>& program, nb::handle values, In<Index> offsets, Loss<T>& loss, int first, int last,
               Array<double> losses, int threads) {
  const Sequenced<T> batch = sequenced<T>(program, values, offsets);
  const Alone<T> alone(program);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = program.run_lanes(batch, loss, first, last, threads, losses.data(), bad_token); });
  check(status, bad_token);
}

template <class T>
void sum_lanes(Program<T>& program, int first, int last, Array<T> sum) {
  if (program.summed() != static_cast<Index>(sum.shape(0))) throw nb::value_error("the sum has another length");
  const Alone<T> alone(program);
  unlocked(true, [&] { program.sum_lanes(first, last, sum.data()); });
}

template <class T>
void settle(Program<T>& program, In<T> sum, Array<T> gradient, int threads) {
  if (program.summed() != static_cast<Index>(sum.shape(0))) throw nb::value_error("the sum has another length");
  const Alone<T> alone(program);
  unlocked(true, [&] { program.settle(sum.data(), threads, gradient.data()); });
}

// sum += other, as the core adds.
template <class T>
void add(Array<T> sum, In<T> other) {
  const auto count = static_cast<Index>(sum.shape(0));
  unlocked(true, [&] {
    const FlushDenormals flush;
    for (Index i = 0; i < count; ++i) sum.data()[i] += other.data()[i];
  });
}

template <class T>
void define(nb::module_& m) {
  m.def("deal", &deal<T>, "program"_a, "offsets"_a.noconvert(), "lane_of"_a.noconvert());
  m.def("run_lanes", &run_lanes<T>, "program"_a, "values"_a, "offsets"_a.noconvert(), "loss"_a, "first"_a, "last"_a,
        "losses"_a.noconvert(), "threads"_a);
  m.def("summed", &Program<T>::summed, "program"_a);
  m.def("sum_lanes", &sum_lanes<T>, "program"_a, "first"_a, "last"_a, "found"_a.noconvert());
  m.def("settle", &settle<T>, "program"_a, "found"_a.noconvert(), "gradient"_a.noconvert(), "threads"_a);
  m.def("add", &add<T>, "found"_a.noconvert(), "other"_a.noconvert());
}

}  // namespace

void define_lanes(nb::module_& m) {
  define<float>(m);
  define<double>(m);
}

}  // namespace tidegate
