// The module: what every file here adds to it, which instruction set is used, and memory for results.
#include "bind/bind.h"

#include <nanobind/stl/string.h>

#include <string>

#include "isa/dispatch.h"
#include "machine/memory.h"

namespace tidegate {
namespace {

// An uninitialised array whose memory is kept for the next one when it dies.
nb::ndarray<nb::numpy, std::uint8_t> empty(std::size_t bytes) {
  Piece* const piece = new Piece(take_memory(bytes));
  const nb::capsule owner(piece, [](void* p) noexcept {
    give_memory(*static_cast<Piece*>(p));
    delete static_cast<Piece*>(p);
  });
  return nb::ndarray<nb::numpy, std::uint8_t>(piece->data, {bytes}, owner);
}

nb::tuple isa_names() {
  const Isa* list[kMostIsas];
  const int count = available_isas(list);
  nb::list names;
  for (int i = 0; i < count; ++i) names.append(list[i]->name);
  return nb::tuple(names);
}

bool choose_isa(const std::string& name) {
  const Isa* list[kMostIsas];
  const int count = available_isas(list);
  for (int i = 0; i < count; ++i) {
    if (name != list[i]->name) continue;
    use_isa(*list[i]);
    return true;
  }
  return false;
}

}  // namespace
}  // namespace tidegate

NB_MODULE(_core, m) {
  using namespace tidegate;
  m.def("empty", &empty, "bytes"_a);
  m.def("available_isas", &isa_names);
  m.def("active_isa", [] { return active_isa().name; });
  m.def("use_isa", &choose_isa, "name"_a);
  define_cells(m);
  define_layers(m);
  define_crf(m);
  define_ctc(m);
  define_lanes(m);
  define_decode(m);
  define_grid(m);
  define_program(m);
  define_losses(m);
  define_streams(m);
  define_decoder(m);
  define_sampler(m);
  define_text(m);
}
