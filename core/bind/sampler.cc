// The choice of the next token of a text.
#include "program/sampler.h"
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

}  // namespace

void define_sampler(nb::module_& m) {
  define_of<float>(m, "Sampler32");
  define_of<double>(m, "Sampler64");
}

}  // namespace tidegate
