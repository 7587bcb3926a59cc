// The only file that knows Python: arrays in, arrays filled. Every array is C-contiguous and of the right shape and
// type, which kernels.py sees to; the interpreter lock is free while a kernel runs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "isa/dispatch.h"
#include "layer/layer.h"
#include "machine/memory.h"
#include "machine/threads.h"
#include "stream/sampler.h"
#include "stream/stream.h"
#include "structured/crf_layer.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace tidegate;

// The interpreter lock, given up while this exists. Where the interpreter ends meanwhile, a thread that is not the main
// one can never have the lock again, and waits here for the end of the process.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {  // up to Python 3.13 it ends the thread, by unwinding a stack that must not be unwound
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* const state_;
};

bool is_main_thread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return pthread_main_np() != 0;
#endif
}

thread_local bool asking = false;

// Lets the handlers of signals run that have come; true where one raised, as that of Ctrl-C does.
bool interrupted() {
  const PyGILState_STATE lock = PyGILState_Ensure();
  asking = true;
  const bool raised = PyErr_CheckSignals() != 0;
  asking = false;
  PyGILState_Release(lock);
  return raised;
}

// Runs f without the interpreter lock. Signals are looked for meanwhile, and may end f early by an exception, where
// `stoppable` says that nobody sees what f leaves behind then.
template <class F>
void unlocked(bool stoppable, const F& f) {
  bool stopped = false;
  {
    const Unlocked lock;
    if (asking) {  // a handler of a signal calls us amid another call, whose scratch this thread holds
      std::exception_ptr error;
      std::thread([&] {
        try {
          f();
        } catch (...) {
          error = std::current_exception();
        }
      }).join();
      if (error) std::rethrow_exception(error);
    } else {
      const Halt halt(stoppable && is_main_thread() ? interrupted : nullptr);
      f();
      stopped = halt.stopped();
    }
  }
  if (stopped) throw nb::python_error();
}

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using In = Array<const T>;

template <class T>
T* pointer(nb::handle object) {
  return object.is_none() ? nullptr : nb::cast<Array<T>>(object, false).data();
}

template <class T>
const T* input(nb::handle object) {
  return object.is_none() ? nullptr : nb::cast<In<T>>(object, false).data();
}

// A direction is a tuple (w_ih, w_hh, b_ih, b_hh, reverse, h0, c0, mask).
template <class T>
Direction<T> direction(nb::handle object) {
  const nb::tuple t = nb::cast<nb::tuple>(object);
  return {input<T>(t[0]),       input<T>(t[1]), input<T>(t[2]), input<T>(t[3]),
          nb::cast<bool>(t[4]), input<T>(t[5]), input<T>(t[6]), input<T>(t[7])};
}

template <class T>
LayerInput<T> layer_input(int cell, In<T> x, nb::handle ids, In<Index> offsets, nb::sequence directions, int threads) {
  LayerInput<T> in{};
  in.cell = static_cast<Cell>(cell);
  in.B = static_cast<Index>(offsets.shape(0)) - 1;
  in.N = in.B >= 0 ? offsets.data()[in.B] : 0;
  in.C = static_cast<Index>(x.shape(1));
  in.offsets = offsets.data();
  in.x = x.data();
  if (!ids.is_none()) {
    in.V = static_cast<Index>(x.shape(0));
    nb::ndarray<nb::c_contig, nb::device::cpu, nb::ro> array =
        nb::cast<nb::ndarray<nb::c_contig, nb::device::cpu, nb::ro>>(ids, false);
    if (array.dtype() == nb::dtype<std::int32_t>()) {
      in.ids32 = static_cast<const std::int32_t*>(array.data());
    } else {
      in.ids64 = static_cast<const std::int64_t*>(array.data());
    }
  }
  in.directions = static_cast<int>(nb::len(directions));
  for (int d = 0; d < in.directions; ++d) in.direction[d] = direction<T>(directions[d]);
  const nb::tuple first = nb::cast<nb::tuple>(directions[0]);
  in.H = static_cast<Index>(nb::cast<In<T>>(first[1], false).shape(1));
  in.threads = worthwhile(in.N * kTraits[in.cell].gates * in.H * (in.H + in.C), threads);
  return in;
}

void check(Status status, Index bad_token) {
  if (status == Status::kOutOfMemory) throw std::bad_alloc();
  if (status == Status::kBadToken) {
    throw nb::index_error(std::to_string(bad_token).c_str());
  }
}

// kept[d] = (gates, memo); state[d] = (hn, cn)
template <class T>
void forward(int cell, In<T> x, nb::object ids, In<Index> offsets, nb::sequence directions, Array<T> h,
             nb::sequence state, nb::sequence kept, int threads) {
  LayerForward<T> p{};
  p.in = layer_input<T>(cell, x, ids, offsets, directions, threads);
  p.h = h.data();
  for (int d = 0; d < p.in.directions; ++d) {
    p.hn[d] = pointer<T>(state[d][0]);
    p.cn[d] = pointer<T>(state[d][1]);
    p.kept[d] = {pointer<T>(kept[d][0]), pointer<T>(kept[d][1])};
  }
  Status status;
  unlocked(true, [&] { status = layer_forward(p); });
  check(status, p.bad_token);
}

// gradients[d] = (w_ih, w_hh, b_ih, b_hh, h0, c0); dstate[d] = (dhn, dcn); steps[d] = (dh, dc) of every step
template <class T>
void backward(int cell, In<T> x, nb::object ids, In<Index> offsets, nb::sequence directions, In<T> h, nb::sequence kept,
              bool overwrite, In<T> dh, nb::sequence dstate, nb::object dx, nb::sequence gradients, nb::sequence steps,
              int threads) {
  LayerBackward<T> p{};
  p.in = layer_input<T>(cell, x, ids, offsets, directions, threads);
  p.h = h.data();
  p.dh = dh.data();
  p.overwrite = overwrite;
  p.dx = pointer<T>(dx);
  for (int d = 0; d < p.in.directions; ++d) {
    p.kept[d] = {pointer<T>(kept[d][0]), pointer<T>(kept[d][1])};
    p.dhn[d] = input<T>(dstate[d][0]);
    p.dcn[d] = input<T>(dstate[d][1]);
    const nb::object g = gradients[d];
    p.gradients[d] = {pointer<T>(g[0]), pointer<T>(g[1]), pointer<T>(g[2]),
                      pointer<T>(g[3]), pointer<T>(g[4]), pointer<T>(g[5])};
    p.steps[d] = {pointer<T>(steps[d][0]), pointer<T>(steps[d][1])};
  }
  Status status;
  unlocked(true, [&] { status = layer_backward(p); });
  check(status, 0);
}

template <class T>
void linear(In<T> x, In<T> w, bool as_it_is, nb::object bias, Array<T> y, int activation, int threads) {
  const T* const b = input<T>(bias);
  const Index rows = static_cast<Index>(x.shape(0)), K = static_cast<Index>(x.shape(1));
  const Index columns = static_cast<Index>(y.shape(1));
  Status status;
  unlocked(true, [&] {
    status = dense<T>(x.data(), w.data(), as_it_is, b, y.data(), rows, K, columns, static_cast<Activation>(activation),
                      worthwhile(rows * K * columns, threads));
  });
  check(status, 0);
}

// Runs f(first, last) over 0 .. count in pieces of `piece`; `operations` is the work of it all.
template <class F>
void in_pieces(Index count, Index piece, Index operations, int threads, const F& f) {
  unlocked(true, [&] {
    parallel((count + piece - 1) / piece, worthwhile(operations, threads),
             [&](Index task) { f(task * piece, std::min(count, (task + 1) * piece)); });
  });
}

// pooled [B, modes * H] is written one mode after the other, or its gradient read and dh [N, H] written.
template <class T>
void pool(In<T> h, In<Index> offsets, nb::sequence modes, Array<T> pooled, nb::object dh, int threads) {
  const Index H = static_cast<Index>(h.shape(1)), B = static_cast<Index>(offsets.shape(0)) - 1;
  const Index count = static_cast<Index>(nb::len(modes));
  Pool<T> p[kPoolModes]{};
  for (Index m = 0; m < count; ++m) {
    p[m] = {h.data(),  offsets.data(), H, static_cast<PoolMode>(nb::cast<int>(modes[m])), pooled.data() + m * H,
            count * H, pointer<T>(dh)};
  }
  const auto run = p[0].dh ? kernels<T>().pool_backward : kernels<T>().pool;
  const Index* const begin = offsets.data();
  in_pieces(B, 8, static_cast<Index>(h.size()) * count, threads, [&](Index first, Index last) {
    if (p[0].dh) std::fill(p[0].dh + begin[first] * H, p[0].dh + begin[last] * H, T(0));
    for (Index m = 0; m < count; ++m) run(p[m], first, last);
  });
}

constexpr Index kActivationCost = 32;  // of one exp, in fused multiply-adds

template <class T>
void softmax(In<T> x, Array<T> y, int threads) {
  const Index columns = static_cast<Index>(x.shape(1));
  in_pieces(static_cast<Index>(x.shape(0)), 64, static_cast<Index>(x.size()) * kActivationCost, threads,
            [&](Index first, Index last) { kernels<T>().softmax(x.data(), columns, y.data(), first, last); });
}

template <class T>
void activate(int activation, In<T> x, Array<T> y, int threads) {
  in_pieces(static_cast<Index>(x.size()), 1 << 14, static_cast<Index>(x.size()) * kActivationCost, threads,
            [&](Index first, Index last) {
              kernels<T>().activate(static_cast<Activation>(activation), x.data(), y.data(), first, last);
            });
}

CrfScores crf_scores(In<double> emissions, In<Index> offsets, In<double> transitions, In<double> start, In<double> end,
                     int threads) {
  return {static_cast<Index>(emissions.shape(0)),
          static_cast<Index>(offsets.shape(0)) - 1,
          static_cast<Index>(emissions.shape(1)),
          emissions.data(),
          offsets.data(),
          transitions.data(),
          start.data(),
          end.data(),
          threads};
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

// An uninitialised array whose memory is kept for the next one when it dies.
nb::ndarray<nb::numpy, std::uint8_t> empty(std::size_t bytes) {
  Piece* const piece = new Piece(take_memory(bytes));
  const nb::capsule owner(piece, [](void* p) noexcept {
    give_memory(*static_cast<Piece*>(p));
    delete static_cast<Piece*>(p);
  });
  return nb::ndarray<nb::numpy, std::uint8_t>(piece->data, {bytes}, owner);
}

nb::object counterpart(const Counterpart& other, int gates) {
  if (!other.name) return nb::none();
  nb::list order;
  for (int i = 0; i < gates; ++i) order.append(other.order[i]);
  nb::dict found;
  found["name"] = other.name;
  found["order"] = nb::tuple(order);
  return found;
}

// The table of cells, row by row; None stands where there is nothing.
nb::list cells() {
  nb::list found;
  for (const CellTraits& traits : kTraits) {
    nb::dict cell;
    cell["name"] = traits.name;
    cell["gates"] = traits.gates;
    cell["letters"] = traits.letters;
    cell["tanh"] = traits.tanh;
    cell["function"] = traits.function;
    cell["carries_c"] = traits.carries_c;
    cell["shared"] = traits.shared;
    cell["keeps"] = traits.keeps;
    cell["lets_in"] = traits.lets_in;
    cell["torch"] = traits.torch;
    cell["onnx"] = counterpart(traits.onnx, traits.gates);
    cell["keras"] = counterpart(traits.keras, traits.gates);
    found.append(cell);
  }
  return found;
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

template <class T>
void define(nb::module_& m) {
  m.def("forward", &forward<T>, "cell"_a, "x"_a.noconvert(), "ids"_a.none(), "offsets"_a.noconvert(), "directions"_a,
        "h"_a.noconvert(), "state"_a, "kept"_a, "threads"_a);
  m.def("backward", &backward<T>, "cell"_a, "x"_a.noconvert(), "ids"_a.none(), "offsets"_a.noconvert(), "directions"_a,
        "h"_a.noconvert(), "kept"_a, "overwrite"_a, "dh"_a.noconvert(), "dstate"_a, "dx"_a.none(), "gradients"_a,
        "steps"_a, "threads"_a);
  m.def("linear", &linear<T>, "x"_a.noconvert(), "w"_a.noconvert(), "as_it_is"_a, "bias"_a.none(), "y"_a.noconvert(),
        "activation"_a, "threads"_a);
  m.def("pool", &pool<T>, "h"_a.noconvert(), "offsets"_a.noconvert(), "modes"_a, "pooled"_a.noconvert(), "dh"_a.none(),
        "threads"_a);
  m.def("softmax", &softmax<T>, "x"_a.noconvert(), "y"_a.noconvert(), "threads"_a);
  m.def("activate", &activate<T>, "activation"_a, "x"_a.noconvert(), "y"_a.noconvert(), "threads"_a);
}

// A contiguous matrix, or a vector where one row is wanted. A step of a stream is so short that nanobind's own arrays
// would show.
template <class T>
class Matrix {
 public:
  Matrix(nb::handle object, Index rows, Index columns, int flags = 0) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) throw nb::python_error();
    const bool fits = view_.ndim == 2 ? view_.shape[0] == rows && view_.shape[1] == columns
                                      : view_.ndim == 1 && rows == 1 && view_.shape[0] == columns;
    if (fits && std::string_view(view_.format) == (sizeof(T) == 4 ? "f" : "d")) return;
    PyBuffer_Release(&view_);
    throw nb::value_error("another shape or type is wanted");
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() { PyBuffer_Release(&view_); }
  T* data() const { return static_cast<T*>(view_.buf); }

 private:
  Py_buffer view_;
};

// What came instead of rows that a stream takes.
enum Refused : int { kNotFinite = -1, kNoRow = -2, kBusy = -3, kSlots = -4 };

template <class T>
bool finite(const T* x, Index count) {
  bool all = true;
  for (Index i = 0; i < count; ++i) all &= x[i] - x[i] == 0;
  return all;
}

bool within(const std::int32_t* ids, Index count, Index V) {
  return std::all_of(ids, ids + count, [V](std::int32_t id) { return id >= 0 && id < V; });
}

// Does something short with streams that no other thread steps; returns kBusy, and does nothing, where one does.
template <class T, class F>
Index alone(Streams<T>& self, const F& f) {
  if (!self.enter()) return kBusy;
  f();
  self.leave();
  return 0;
}

// Returns the rows of output, of which there is room for `most`, or what was refused, in which case nothing has
// changed.
template <class T>
Index take(Streams<T>& self, const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids,
           bool ending, T* out, Index most, int threads) {
  if (x && !finite(x, offsets[n] * self.network().width())) return kNotFinite;
  if (ids && !within(ids, offsets[n], self.network().V())) return kNoRow;
  if (!self.enter()) return kBusy;
  Index rows = 0;
  try {
    if (!self.distinct(slot, n)) {
      self.leave();
      return kSlots;
    }
    for (Index i = 0; i < n; ++i) rows += self.rows_after(slot[i], offsets[i + 1] - offsets[i], ending);
    if (rows > most) {  // another thread has stepped since `out` was made
      self.leave();
      return kBusy;
    }
    unlocked(false, [&] { self.run(slot, offsets, n, x, ids, ending, out, threads); });
  } catch (...) {
    self.leave();
    throw;
  }
  self.leave();
  return rows;
}

template <class T>
void define_stream_network(nb::module_& m, const char* name) {
  using Network = StreamNetwork<T>;
  nb::class_<Network>(m, name)
      .def(
          "__init__",
          [](Network* self, Index width, nb::object table) {
            if (table.is_none()) {
              new (self) Network(width, nullptr, 0);
            } else {
              const auto rows = nb::cast<In<T>>(table, false);
              new (self) Network(width, rows.data(), static_cast<Index>(rows.shape(0)));
            }
          },
          "width"_a, "table"_a.none(), nb::keep_alive<1, 3>())
      .def(
          "add_matrix",
          [](Network& self, In<T> w, nb::object bias, int activation) {
            self.add_matrix(static_cast<Index>(w.shape(0)), w.data(), input<T>(bias),
                            static_cast<Activation>(activation));
          },
          "w"_a.noconvert(), "bias"_a.none(), "activation"_a)
      .def(
          "add_layer",
          [](Network& self, int cell, Index H, nb::sequence directions, int merge, Index lookahead) {
            const int count = static_cast<int>(nb::len(directions));
            Direction<T> each[2];
            for (int d = 0; d < count; ++d) each[d] = direction<T>(directions[d]);
            self.add_layer(static_cast<Cell>(cell), H, each, count, static_cast<Merge>(merge), lookahead);
          },
          "cell"_a, "H"_a, "directions"_a, "merge"_a, "lookahead"_a)
      .def(
          "add_pool",
          [](Network& self, nb::sequence modes) {
            PoolMode mode[kPoolModes];
            const int count = static_cast<int>(nb::len(modes));
            for (int m = 0; m < count; ++m) mode[m] = static_cast<PoolMode>(nb::cast<int>(modes[m]));
            self.add_pool(mode, count);
          },
          "modes"_a)
      .def_prop_ro("out", &Network::out)
      .def_prop_ro("lookahead", &Network::lookahead)
      .def_prop_ro("pooled", &Network::pooled);
}

template <class T>
void define_streams(nb::module_& m, const char* name) {
  using Self = Streams<T>;
  nb::class_<Self>(m, name)
      .def(nb::init<const StreamNetwork<T>&, Index>(), "network"_a, "capacity"_a, nb::keep_alive<1, 2>())
      .def(
          "step",  // one slot by one row of features
          [](Self& self, Index slot, nb::handle x, nb::handle out, int threads) {
            const Index offsets[2] = {0, 1};
            const Matrix<T> from(x, 1, self.network().width()), to(out, 1, self.network().out(), PyBUF_WRITABLE);
            return take<T>(self, &slot, offsets, 1, from.data(), nullptr, false, to.data(), 1, threads);
          },
          "slot"_a, "x"_a, "out"_a, "threads"_a)
      .def(
          "step_token",
          [](Self& self, Index slot, Index token, nb::handle out, int threads) -> Index {
            if (token < 0 || token >= self.network().V()) return kNoRow;
            const Index offsets[2] = {0, 1};
            const std::int32_t id = static_cast<std::int32_t>(token);
            const Matrix<T> to(out, 1, self.network().out(), PyBUF_WRITABLE);
            return take<T>(self, &slot, offsets, 1, nullptr, &id, false, to.data(), 1, threads);
          },
          "slot"_a, "token"_a, "out"_a, "threads"_a)
      .def(
          "run",
          [](Self& self, In<Index> slots, In<Index> offsets, nb::object x, nb::object ids, bool ending, Array<T> out,
             int threads) {
            return take<T>(self, slots.data(), offsets.data(), static_cast<Index>(slots.size()), input<T>(x),
                           input<std::int32_t>(ids), ending, out.data(), static_cast<Index>(out.shape(0)), threads);
          },
          "slots"_a.noconvert(), "offsets"_a.noconvert(), "x"_a.none(), "ids"_a.none(), "ending"_a, "out"_a.noconvert(),
          "threads"_a)
      .def("rows_after", &Self::rows_after, "slot"_a, "steps"_a, "ending"_a)
      .def("steps", &Self::steps, "slot"_a)
      .def(
          "clear", [](Self& self, Index slot) { return alone(self, [&] { self.clear(slot); }); }, "slot"_a)
      .def(
          "copy", [](Self& self, Index from, Index to) { return alone(self, [&] { self.copy(from, to); }); }, "from"_a,
          "to"_a)
      .def_prop_ro("numbers", &Self::numbers)
      .def(
          "read",
          [](Self& self, Index slot, Array<T> to) {
            Index steps = 0;
            const Index why = alone(self, [&] { self.read(slot, to.data()), steps = self.steps(slot); });
            return why ? why : steps;
          },
          "slot"_a, "to"_a.noconvert())
      .def(
          "write",
          [](Self& self, Index slot, In<T> from, Index steps) {
            return alone(self, [&] { self.write(slot, from.data(), steps); });
          },
          "slot"_a, "from"_a.noconvert(), "steps"_a);
}

template <class T>
void define_sampler(nb::module_& m, const char* name) {
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

NB_MODULE(_core, m) {
  m.def("crf_forward", &crf_forward, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "alpha"_a.noconvert(), "log_partition"_a.noconvert(), "threads"_a);
  m.def("crf_backward", &crf_backward, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "alpha"_a.noconvert(), "weight"_a.noconvert(),
        "demissions"_a.noconvert(), "dtransitions"_a.noconvert(), "dstart"_a.noconvert(), "dend"_a.noconvert(),
        "threads"_a);
  m.def("crf_best", &crf_best, "emissions"_a.noconvert(), "offsets"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "tags"_a.noconvert(), "scores"_a.noconvert(), "threads"_a);
  m.def("cells", &cells);
  m.def("empty", &empty, "bytes"_a);
  m.def("available_isas", &isa_names);
  m.def("active_isa", [] { return active_isa().name; });
  m.def("use_isa", &choose_isa, "name"_a);
  define<float>(m);
  define<double>(m);
  define_stream_network<float>(m, "StreamNetwork32");
  define_stream_network<double>(m, "StreamNetwork64");
  define_streams<float>(m, "Streams32");
  define_streams<double>(m, "Streams64");
  define_sampler<float>(m, "Sampler32");
  define_sampler<double>(m, "Sampler64");
}
