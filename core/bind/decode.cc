// The search for the most probable texts of frames, and what scores texts.
#include <nanobind/stl/shared_ptr.h>

#include <atomic>
#include <memory>

#include "bind/bind.h"
#include "bind/unlocked.h"
#include "decode/beam.h"
#include "decode/numbers.h"

namespace tidegate {
namespace {

// A list of texts: (signs, offsets).
Spelled spelled(nb::handle pair) {
  const nb::tuple t = nb::cast<nb::tuple>(pair);
  const In<Index> offsets = nb::cast<In<Index>>(t[1], false);
  return {input<std::int32_t>(t[0]), offsets.data(), static_cast<Index>(offsets.shape(0)) - 1};
}

std::shared_ptr<NGram> ngram(In<Index> counts, In<std::int32_t> tokens, In<std::int32_t> children,
                             In<float> probability, In<float> backoff) {
  const auto order = static_cast<Index>(counts.shape(0));
  Index nodes = 0;
  for (Index k = 0; k < order; ++k) nodes += counts.data()[k];
  for (const std::size_t size : {tokens.shape(0), children.shape(0), probability.shape(0), backoff.shape(0)}) {
    if (static_cast<Index>(size) != nodes) throw std::invalid_argument("the arrays are of other lengths");
  }
  return std::make_shared<NGram>(
      NGramArrays{order, counts.data(), tokens.data(), children.data(), probability.data(), backoff.data()});
}

// The log-probability of each token of each text, from its start on.
void score(const NGram& model, In<std::int32_t> tokens, In<Index> offsets, std::int32_t begins, Array<double> out) {
  const Index texts = static_cast<Index>(offsets.shape(0)) - 1;
  unlocked(true, [&] {
    for (Index b = 0; b < texts; ++b) {
      std::int32_t state = model.next(NGram::kEmpty, begins).state;
      for (Index n = offsets.data()[b]; n < offsets.data()[b + 1]; ++n) {
        const NGram::Next next = model.next(state, tokens.data()[n]);
        out.data()[n] = next.log;
        state = next.state;
      }
    }
  });
}

std::shared_ptr<Scorer> scorer(nb::tuple numbers, nb::tuple symbols, nb::object tokens, nb::object model,
                               nb::tuple vocabulary, nb::object ids, bool lexical, nb::tuple lexicon,
                               nb::tuple hotwords, nb::object bonus) {
  const ScorerOptions options{nb::cast<double>(numbers[0]),       nb::cast<double>(numbers[1]),
                              nb::cast<double>(numbers[2]),       nb::cast<std::int32_t>(numbers[3]),
                              nb::cast<bool>(numbers[4]),         nb::cast<bool>(numbers[5]),
                              nb::cast<std::int32_t>(numbers[6]), nb::cast<std::int32_t>(numbers[7])};
  std::shared_ptr<const NGram> known;
  if (!model.is_none()) known = nb::cast<std::shared_ptr<NGram>>(model);
  return std::make_shared<Scorer>(options, spelled(symbols), input<std::int32_t>(tokens), known, spelled(vocabulary),
                                  input<std::int32_t>(ids), lexical, spelled(lexicon), spelled(hotwords),
                                  input<double>(bonus));
}

template <class T>
nb::ndarray<nb::numpy, T> handed_over(std::vector<T>&& numbers) {
  auto* const kept = new std::vector<T>(std::move(numbers));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(kept->data(), {kept->size()}, owner);
}

// Texts as a list of (symbols, spans, score, log-probability, language, whole).
nb::list listed(std::vector<Found>& all) {
  nb::list list;
  for (Found& found : all) {
    list.append(nb::make_tuple(handed_over(std::move(found.symbols)), handed_over(std::move(found.spans)), found.score,
                               found.log_probability, found.language, found.whole));
  }
  return list;
}

std::shared_ptr<const Scorer> optional(nb::handle object) {
  return object.is_none() ? std::shared_ptr<const Scorer>() : nb::cast<std::shared_ptr<Scorer>>(object);
}

// As many frames as can be read, one task, so that the arithmetic is that of every kernel.
template <class T>
Index pushed(Beam& beam, In<T> rows) {
  Index read = 0;
  bool failed = false;
  unlocked(false, [&] {
    parallel(1, 1, [&](Index) {
      try {
        read = beam.push(rows.data(), static_cast<Index>(rows.shape(0)));
      } catch (...) {
        failed = true;
      }
    });
  });
  if (failed) throw std::bad_alloc();
  return read;
}

// The best texts of every sequence; the number of a frame that cannot be read in place of a list.
template <class T>
nb::object batch(In<T> rows, In<Index> offsets, nb::object scores, Index width, double least, Index most, int threads) {
  const Index B = static_cast<Index>(offsets.shape(0)) - 1, columns = static_cast<Index>(rows.shape(1));
  const std::shared_ptr<const Scorer> known = optional(scores);
  std::vector<std::vector<Found>> found(B);
  std::vector<Index> bad(B, -1);
  std::atomic<bool> failed{false};
  unlocked(true, [&] {
    parallel(B, threads, [&](Index b) {
      try {
        Beam beam({columns - 1, width, least}, known);
        for (Index t = offsets.data()[b], end = offsets.data()[b + 1]; t < end && !halted();) {
          constexpr Index kFrames = 256;  // between two looks at whether to go on
          const Index some = std::min(kFrames, end - t), read = beam.push(rows.data() + t * columns, some);
          t += read;
          if (read == some) continue;
          bad[b] = t;
          return;
        }
        found[b] = beam.best(most);
      } catch (...) {
        failed = true;
      }
    });
  });
  if (failed) throw std::bad_alloc();
  for (const Index frame : bad) {
    if (frame >= 0) return nb::int_(frame);
  }
  nb::list lists;
  for (std::vector<Found>& of : found) lists.append(listed(of));
  return lists;
}

nb::list fresh(const Beam& beam) {
  nb::list list;
  for (const Beam::Fresh& f : beam.fresh()) list.append(nb::make_tuple(f.slot, f.from, f.symbol));
  return list;
}

}  // namespace

void define_decode(nb::module_& m) {
  nb::class_<NGram>(m, "NGram")
      .def("score", &score, "tokens"_a.noconvert(), "offsets"_a.noconvert(), "begins"_a, "out"_a.noconvert());
  m.def("ngram", &ngram, "counts"_a.noconvert(), "tokens"_a.noconvert(), "children"_a.noconvert(),
        "probability"_a.noconvert(), "backoff"_a.noconvert());
  nb::class_<Scorer>(m, "Scorer");
  m.def("scorer", &scorer, "numbers"_a, "symbols"_a, "tokens"_a.none(), "model"_a.none(), "vocabulary"_a,
        "ids"_a.none(), "lexical"_a, "lexicon"_a, "hotwords"_a, "bonus"_a.none());
  m.def("beam_f32", &batch<float>, "rows"_a.noconvert(), "offsets"_a.noconvert(), "scorer"_a.none(), "width"_a,
        "least"_a, "most"_a, "threads"_a);
  m.def("beam_f64", &batch<double>, "rows"_a.noconvert(), "offsets"_a.noconvert(), "scorer"_a.none(), "width"_a,
        "least"_a, "most"_a, "threads"_a);
  nb::class_<Beam>(m, "Beam")
      .def(
          "__init__",
          [](Beam* self, Index symbols, Index width, double least, nb::object known) {
            new (self) Beam({symbols, width, least}, optional(known));
          },
          "symbols"_a, "width"_a, "least"_a, "scorer"_a.none())
      .def(nb::init<const Beam&>(), "other"_a)
      .def("push_f32", &pushed<float>, "rows"_a.noconvert())
      .def("push_f64", &pushed<double>, "rows"_a.noconvert())
      .def(
          "best",
          [](const Beam& self, Index most) {
            std::vector<Found> all = self.best(most);
            return listed(all);
          },
          "most"_a)
      .def("stable", [](const Beam& self) { return handed_over(self.stable()); })
      .def("fresh", &fresh)
      .def("used", [](const Beam& self) { return handed_over(self.used()); })
      .def(
          "give",
          [](Beam& self, std::int32_t slot, In<double> probabilities) {
            constexpr double kLeast = 1e-38;  // about the smallest normal float32
            for (std::size_t k = 0; k < probabilities.shape(0); ++k) {
              self.row(slot)[k] = plain_log(std::max(probabilities.data()[k], kLeast));
            }
          },
          "slot"_a, "probabilities"_a.noconvert())
      .def("write", [](const Beam& self) { return handed_over(self.write()); })
      .def(
          "read",
          [](Beam& self, In<double> numbers) { self.read(numbers.data(), static_cast<Index>(numbers.shape(0))); },
          "numbers"_a.noconvert())
      .def_prop_ro("frames", &Beam::frames)
      .def_prop_ro("size", &Beam::size);
}

}  // namespace tidegate
