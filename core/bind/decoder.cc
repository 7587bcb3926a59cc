// Targets of pairs, read step by step.
#include "program/decoder.h"

#include <algorithm>
#include <atomic>

#include "bind/bind.h"
#include "bind/programs.h"
#include "bind/unlocked.h"

namespace tidegate {
namespace {

// A decoder, and whether a thread is at it.
template <class T>
struct Shared {
  Decoder<T> decoder;
  std::atomic<bool> busy{false};
  Shared(Program<T>& program, Index capacity) : decoder(program, capacity) {}
};

template <class T>
class Turn {
 public:
  explicit Turn(Shared<T>& shared) : shared_(shared) {
    if (!shared.busy.exchange(true, std::memory_order_acquire)) return;
    refuse("InputError", "another thread is at this decoder. Give each thread one of its own, or a lock.");
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { shared_.busy.store(false, std::memory_order_release); }
  Decoder<T>* operator->() const { return &shared_.decoder; }

 private:
  Shared<T>& shared_;
};

void refuse_slots() {
  refuse("InputError", "slots are whole numbers from 0 to one below the capacity, each named once.");
}

// numbers [B] is written
template <class T>
void open(Shared<T>& self, nb::handle values, In<Index> offsets, Array<Index> numbers, int threads) {
  const Turn<T> decoder(self);
  const Sequenced<T> batch = sequenced<T>(values, offsets);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = decoder->open(batch, threads, numbers.data(), bad_token); });
  check(status, bad_token);
}

template <class T>
void close(Shared<T>& self, Index source) {
  const Turn<T> decoder(self);
  if (!decoder->close(source)) refuse("InputError", ("source " + std::to_string(source) + " is not open.").c_str());
}

template <class T>
void start(Shared<T>& self, In<Index> slots, In<Index> sources) {
  const Turn<T> decoder(self);
  const auto n = static_cast<Index>(slots.shape(0));
  if (!decoder->distinct(slots.data(), n)) refuse_slots();
  for (Index i = 0; i < n; ++i) {
    const Index source = sources.data()[i];
    if (!decoder->holds(source)) refuse("InputError", ("source " + std::to_string(source) + " is not open.").c_str());
  }
  decoder->start(slots.data(), sources.data(), n);
}

template <class T>
void copy(Shared<T>& self, In<Index> from, In<Index> to) {
  const Turn<T> decoder(self);
  const auto n = static_cast<Index>(to.shape(0));
  if (!decoder->within(from.data(), n) || !decoder->distinct(to.data(), n)) refuse_slots();
  decoder->copy(from.data(), to.data(), n);
}

template <class T>
void step(Shared<T>& self, In<Index> slots, In<std::int32_t> ids, Array<T> out, int threads) {
  const Turn<T> decoder(self);
  const auto n = static_cast<Index>(slots.shape(0));
  if (!decoder->distinct(slots.data(), n)) refuse_slots();
  if (!decoder->started(slots.data(), n)) refuse("InputError", "a slot has no source that is open. Start it first.");
  bool taken = false;
  unlocked(false, [&] { taken = decoder->step(slots.data(), ids.data(), n, out.data(), threads); });
  if (taken) return;
  const std::string size = std::to_string(decoder->vocabulary());
  refuse("InputError", ("an id is out of range; the vocabulary has " + size + " ids. Nothing has gone on.").c_str());
}

// Of each node that attends, of each row of the last step: how much it attended to each row of its source, copied.
template <class T>
nb::list attention(Shared<T>& self) {
  const Turn<T> decoder(self);
  nb::list nodes;
  for (const LiveAttention<T>* const node : decoder->attentions()) {
    nb::list rows;
    for (Index row = 0; row < decoder->stepped(); ++row) {
      const auto weights = node->weights(row);
      auto* const own = new std::vector<T>(weights.data, weights.data + weights.rows);
      const nb::capsule owner(own, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
      rows.append(nb::ndarray<nb::numpy, T, nb::c_contig>(own->data(), {own->size()}, owner));
    }
    nodes.append(rows);
  }
  return nodes;
}

template <class T>
void define(nb::module_& m, const char* name) {
  using Self = Shared<T>;
  nb::class_<Self>(m, name)
      .def(nb::init<Program<T>&, Index>(), "program"_a, "capacity"_a, nb::keep_alive<1, 2>())
      .def("open", &open<T>, "values"_a, "offsets"_a.noconvert(), "numbers"_a.noconvert(), "threads"_a)
      .def("close", &close<T>, "source"_a)
      .def("start", &start<T>, "slots"_a.noconvert(), "sources"_a.noconvert())
      .def("copy", &copy<T>, "from_slots"_a.noconvert(), "to_slots"_a.noconvert())
      .def("step", &step<T>, "slots"_a.noconvert(), "ids"_a.noconvert(), "out"_a.noconvert(), "threads"_a)
      .def("attention", &attention<T>);
}

}  // namespace

void define_decoder(nb::module_& m) {
  define<float>(m, "Decoder32");
  define<double>(m, "Decoder64");
}

}  // namespace tidegate
