// The losses that networks are trained on.
#include "bind/bind.h"
#include "losses/binary.h"
#include "losses/crf.h"
#include "losses/cross_entropy.h"
#include "losses/ctc.h"
#include "losses/regression.h"
#include "nodes/crf.h"
#include "program/program.h"

namespace tidegate {
namespace {

template <class T>
struct Names {
  const char *loss, *cross_entropy, *soft, *binary, *crf, *ctc, *regression;
};

template <class T>
void define(nb::module_& m, const Names<T>& names) {
  nb::class_<Loss<T>>(m, names.loss);
  nb::class_<CrossEntropy<T>, Loss<T>>(m, names.cross_entropy)
      .def(
          "__init__",
          [](CrossEntropy<T>* self, In<std::int64_t> labels, In<Index> begin, In<double> weight, double smoothing) {
            new (self) CrossEntropy<T>(labels.data(), begin.data(), weight.data(), smoothing);
          },
          "labels"_a.noconvert(), "begin"_a.noconvert(), "weight"_a.noconvert(), "smoothing"_a, nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
  nb::class_<SoftCrossEntropy<T>, Loss<T>>(m, names.soft)
      .def(
          "__init__",
          [](SoftCrossEntropy<T>* self, In<T> truth, In<Index> begin, In<double> weight) {
            new (self) SoftCrossEntropy<T>(truth.data(), begin.data(), weight.data());
          },
          "truth"_a.noconvert(), "begin"_a.noconvert(), "weight"_a.noconvert(), nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
  nb::class_<BinaryCrossEntropy<T>, Loss<T>>(m, names.binary)
      .def(
          "__init__",
          [](BinaryCrossEntropy<T>* self, In<T> truth, In<Index> begin, In<double> weight) {
            new (self) BinaryCrossEntropy<T>(truth.data(), begin.data(), weight.data());
          },
          "truth"_a.noconvert(), "begin"_a.noconvert(), "weight"_a.noconvert(), nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
  nb::class_<CrfLikelihood<T>, Loss<T>>(m, names.crf)
      .def(
          "__init__",
          [](CrfLikelihood<T>* self, Program<T>& program, In<std::int64_t> tags, In<Index> begin, In<double> weight,
             In<double> penalty) {
            auto* const node = dynamic_cast<CrfNode<T>*>(&program.node(program.size() - 1));
            if (!node) refuse("ShapeError", "this loss is of networks that end with a crf node.");
            new (self) CrfLikelihood<T>(*node, tags.data(), begin.data(), weight.data(), penalty.data());
          },
          "program"_a, "tags"_a.noconvert(), "begin"_a.noconvert(), "weight"_a.noconvert(), "penalty"_a.noconvert(),
          nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(), nb::keep_alive<1, 5>(),
          nb::keep_alive<1, 6>());
  nb::class_<CtcLikelihood<T>, Loss<T>>(m, names.ctc)
      .def(
          "__init__",
          [](CtcLikelihood<T>* self, In<std::int32_t> labels, In<Index> begins, In<double> weight) {
            new (self) CtcLikelihood<T>(labels.data(), begins.data(), weight.data());
          },
          "labels"_a.noconvert(), "begins"_a.noconvert(), "weight"_a.noconvert(), nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
  nb::class_<Regression<T>, Loss<T>>(m, names.regression)
      .def(
          "__init__",
          [](Regression<T>* self, In<T> truth, In<T> scale, In<T> shift, In<std::int32_t> kind, In<double> level,
             In<double> share, In<double> weight) {
            const auto numbers = static_cast<Index>(kind.shape(0));
            new (self) Regression<T>(numbers, truth.data(), scale.data(), shift.data(), kind.data(), level.data(),
                                     share.data(), weight.data());
          },
          "truth"_a.noconvert(), "scale"_a.noconvert(), "shift"_a.noconvert(), "kind"_a.noconvert(),
          "level"_a.noconvert(), "share"_a.noconvert(), "weight"_a.noconvert(), nb::keep_alive<1, 2>(),
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(), nb::keep_alive<1, 5>(), nb::keep_alive<1, 6>(),
          nb::keep_alive<1, 7>(), nb::keep_alive<1, 8>());
}

}  // namespace

void define_losses(nb::module_& m) {
  define<float>(m, {"Loss32", "CrossEntropy32", "SoftCrossEntropy32", "BinaryCrossEntropy32", "CrfLikelihood32",
                    "CtcLikelihood32", "Regression32"});
  define<double>(m, {"Loss64", "CrossEntropy64", "SoftCrossEntropy64", "BinaryCrossEntropy64", "CrfLikelihood64",
                     "CtcLikelihood64", "Regression64"});
}

}  // namespace tidegate
