// Connectionist temporal classification.
#include "bind/bind.h"
#include "bind/unlocked.h"
#include "structured/ctc_layer.h"

namespace tidegate {
namespace {

CtcBatch ctc_batch(In<double> frames, In<Index> offsets, In<std::int32_t> labels, In<Index> begins, int threads) {
  CtcBatch in{};
  in.N = static_cast<Index>(frames.shape(0));
  in.B = static_cast<Index>(offsets.shape(0)) - 1;
  in.K = static_cast<Index>(frames.shape(1));
  in.frames = frames.data();
  in.offsets = offsets.data();
  in.labels = labels.data();
  in.begins = begins.data();
  in.threads = threads;
  return in;
}

void frames(In<double> scores, Array<double> frames, int threads) {
  const auto N = static_cast<Index>(scores.shape(0)), K = static_cast<Index>(scores.shape(1));
  unlocked(true, [&] { ctc_softmax(scores.data(), N, K, threads, frames.data()); });
}

void totals(In<double> frames, In<Index> offsets, In<std::int32_t> labels, In<Index> begins, Array<double> total,
            nb::object shares, int threads) {
  const CtcBatch in = ctc_batch(frames, offsets, labels, begins, threads);
  double* const to = pointer<double>(shares);
  Status status;
  unlocked(true, [&] { status = ctc_totals(in, total.data(), to); });
  check(status, 0);
}

void align(In<double> frames, In<Index> offsets, In<std::int32_t> labels, In<Index> begins, Array<std::int32_t> states,
           Array<double> scores, int threads) {
  const CtcBatch in = ctc_batch(frames, offsets, labels, begins, threads);
  Status status;
  unlocked(true, [&] { status = ctc_align(in, states.data(), scores.data()); });
  check(status, 0);
}

}  // namespace

void define_ctc(nb::module_& m) {
  m.def("ctc_frames", &frames, "scores"_a.noconvert(), "frames"_a.noconvert(), "threads"_a);
  m.def("ctc_totals", &totals, "frames"_a.noconvert(), "offsets"_a.noconvert(), "labels"_a.noconvert(),
        "begins"_a.noconvert(), "total"_a.noconvert(), "shares"_a.none(), "threads"_a);
  m.def("ctc_align", &align, "frames"_a.noconvert(), "offsets"_a.noconvert(), "labels"_a.noconvert(),
        "begins"_a.noconvert(), "states"_a.noconvert(), "scores"_a.noconvert(), "threads"_a);
}

}  // namespace tidegate
