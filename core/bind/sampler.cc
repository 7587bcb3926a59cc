// The choice of the next token of a text, or of each of many.
#include "program/sampler.h"

#include <vector>

#include "bind/bind.h"
#include "bind/unlocked.h"

namespace tidegate {
namespace {

template <class T>
void define_of(nb::module_& m, const char* name) {
  nb::class_<Sampler<T>>(m, name)
      .def(
          "__init__",
          [](Sampler<T>* self, In<T> w, nb::object bias) {
            new (self)
                Sampler<T>(static_cast<Index>(w.shape(1)), static_cast<Index>(w.shape(0)), w.data(), input<T>(bias));
          },
          "w"_a.noconvert(), "bias"_a.none())
      .def(
          "choose",
          [](Sampler<T>& self, nb::handle x, double temperature, Index top_k, double top_p, double u, int threads) {
            const Matrix<T> from(x, 1, self.K());
            Index chosen = 0;
            unlocked(false, [&] { chosen = self.choose(from.data(), {temperature, top_k, top_p}, u, threads); });
            return chosen;
          },
          "x"_a, "temperature"_a, "top_k"_a, "top_p"_a, "u"_a, "threads"_a);
}

// Chooses a token by each row of scores [n, V], which are changed.
template <class T>
void sample(Array<T> scores, In<double> u, double temperature, Index top_k, double top_p, Array<std::int64_t> chosen) {
  const auto n = static_cast<Index>(scores.shape(0)), V = static_cast<Index>(scores.shape(1));
  unlocked(false, [&] {
    std::vector<std::int32_t> order(V);
    for (Index i = 0; i < n; ++i) {
      T* const row = scores.data() + i * V;
      chosen.data()[i] = choose_scored(row, V, {temperature, top_k, top_p}, u.data()[i], order.data());
    }
  });
}

}  // namespace

void define_sampler(nb::module_& m) {
  define_of<float>(m, "Sampler32");
  define_of<double>(m, "Sampler64");
  m.def("sample", &sample<float>, "scores"_a.noconvert(), "u"_a, "temperature"_a, "top_k"_a, "top_p"_a, "chosen"_a);
  m.def("sample", &sample<double>, "scores"_a.noconvert(), "u"_a, "temperature"_a, "top_k"_a, "top_p"_a, "chosen"_a);
}

}  // namespace tidegate
