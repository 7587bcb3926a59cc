// Conditional random fields.
#include "bind/bind.h"
#include "bind/unlocked.h"
#include "structured/crf_layer.h"

namespace tidegate {
namespace {

CrfScores crf_scores(In<double> emissions, In<Index> offsets, In<double> transitions, In<double> start, In<double> end,
                     int threads) {
  CrfScores in{};
  in.N = static_cast<Index>(emissions.shape(0));
  in.B = static_cast<Index>(offsets.shape(0)) - 1;
  in.K = static_cast<Index>(emissions.shape(1));
  in.emissions = emissions.data();
  in.offsets = offsets.data();
  in.transitions = transitions.data();
  in.start = start.data();
  in.end = end.data();
  in.threads = threads;
  return in;
}

void crf_forward(In<double> emissions, In<Index> offsets, In<double> transitions, In<double> start, In<double> end,
                 Array<double> alpha, Array<double> log_partition, int threads) {
  const CrfScores in = crf_scores(emissions, offsets, transitions, start, end, threads);
  Status status;
  unlocked(true, [&] { status = crf_partition(in, alpha.data(), log_partition.data()); });
  check(status, 0);
}

void crf_backward(In<double> emissions, In<Index> offsets, In<double> transitions, In<double> start, In<double> end,
                  In<double> alpha, In<double> weight, Array<double> demissions, Array<double> dtransitions,
                  Array<double> dstart, Array<double> dend, int threads) {
  const CrfScores in = crf_scores(emissions, offsets, transitions, start, end, threads);
  Status status;
  unlocked(true, [&] {
    status = crf_gradient(in, alpha.data(), weight.data(), demissions.data(), dtransitions.data(), dstart.data(),
                          dend.data());
  });
  check(status, 0);
}

void crf_best(In<double> emissions, In<Index> offsets, In<double> transitions, In<double> start, In<double> end,
              Array<std::int32_t> tags, Array<double> scores, int threads) {
  const CrfScores in = crf_scores(emissions, offsets, transitions, start, end, threads);
  const Index paths = static_cast<Index>(scores.shape(1));
  Status status;
  unlocked(true, [&] { status = crf_best_paths(in, paths, tags.data(), scores.data()); });
  check(status, 0);
}

}  // namespace

void define_crf(nb::module_& m) {
  m.def("crf_forward", &crf_forward, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "alpha"_a.noconvert(), "log_partition"_a.noconvert(), "threads"_a);
  m.def("crf_backward", &crf_backward, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "alpha"_a.noconvert(), "weight"_a.noconvert(),
        "demissions"_a.noconvert(), "dtransitions"_a.noconvert(), "dstart"_a.noconvert(), "dend"_a.noconvert(),
        "threads"_a);
  m.def("crf_best", &crf_best, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "tags"_a.noconvert(), "scores"_a.noconvert(), "threads"_a);
}

}  // namespace tidegate
