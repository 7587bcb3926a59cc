// Reads texts into numbers of tokens.
#include "bind/bind.h"
#include "bind/unlocked.h"
#include "text/read.h"

#include <memory>

namespace tidegate {
namespace {

Source source(nb::handle text) {
  if (!PyUnicode_Check(text.ptr())) throw nb::type_error("a text is wanted");
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(text.ptr())) throw nb::python_error();
#endif
  return {PyUnicode_DATA(text.ptr()), static_cast<Index>(PyUnicode_GET_LENGTH(text.ptr())),
          static_cast<int>(PyUnicode_KIND(text.ptr()))};
}

template <class T>
nb::ndarray<nb::numpy, T> handed_over(std::vector<T>&& numbers) {
  auto* const kept = new std::vector<T>(std::move(numbers));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(kept->data(), {kept->size()}, owner);
}

nb::object part_of(nb::handle text, const Odd& odd) {
  return nb::steal(PyUnicode_Substring(text.ptr(), odd.begin, odd.end));
}

// A vocabulary, or where `words` is None one that learns, and the rule by which texts are cut into its tokens.
class Reader {
 public:
  Reader(int rule, bool lower, nb::object words)
      : rule_(static_cast<Rule>(rule)), lower_(lower), learns_(words.is_none()) {
    if (learns_) return;
    Token token(std::numeric_limits<Index>::max());
    for (nb::handle word : words) {
      const Source from = source(word);
      for (Index i = 0; i < from.size; ++i) token.add(PyUnicode_READ(from.width, from.signs, i));
      lexicon_.add(token);
      token.clear();
    }
  }

  // Returns ids [N], offsets [B + 1], and the pieces that were left, in order; -1 stands where each of them belongs.
  nb::tuple read(nb::tuple texts, Index most, bool last, int threads) {
    std::vector<Source> sources;
    sources.reserve(texts.size());
    for (nb::handle text : texts) sources.push_back(source(text));
    Reading out;
    unlocked(true, [&] {
      read_texts(sources.data(), static_cast<Index>(sources.size()), rule_, lower_, {most, last}, lexicon_,
                 learns_ ? &lexicon_ : nullptr, threads, out);
    });
    nb::list left;
    for (const Odd& odd : out.odd) left.append(part_of(texts[odd.text], odd));
    return nb::make_tuple(handed_over(std::move(out.numbers)), handed_over(std::move(out.offsets)), left);
  }

  nb::list tokens() const {
    nb::list all;
    for (Index i = 0; i < lexicon_.size(); ++i) {
      all.append(nb::steal(PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, lexicon_.signs(i), lexicon_.length(i))));
    }
    return all;
  }

 private:
  const Rule rule_;
  const bool lower_, learns_;
  Lexicon lexicon_;
};

}  // namespace

void define_text(nb::module_& m) {
  nb::class_<Reader>(m, "Lexicon")
      .def(nb::init<int, bool, nb::object>(), "rule"_a, "lower"_a, "words"_a.none())
      .def("read", &Reader::read, "texts"_a, "most"_a, "last"_a, "threads"_a)
      .def_prop_ro("tokens", &Reader::tokens);
}

}  // namespace tidegate
