// Layers and what stands around them: linear, pool, softmax, activations.
#include <algorithm>

#include "bind/bind.h"
#include "bind/unlocked.h"
#include "isa/dispatch.h"
#include "machine/threads.h"
#include "machine/workspace.h"

namespace tidegate {
namespace {

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
    in.ids = input<std::int32_t>(ids);
  }
  in.directions = static_cast<int>(nb::len(directions));
  for (int d = 0; d < in.directions; ++d) in.direction[d] = direction<T>(directions[d]);
  const nb::tuple first = nb::cast<nb::tuple>(directions[0]);
  in.H = static_cast<Index>(nb::cast<In<T>>(first[1], false).shape(1));
  in.threads = worthwhile(in.N * kTraits[in.cell].gates * in.H * (in.H + in.C), threads);
  return in;
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

template <class T>
T* at(nb::handle address) {
  return reinterpret_cast<T*>(nb::cast<std::uintptr_t>(address));
}

// A forward run for which no gradient is wanted, over B sequences of `steps` steps, with addresses in place of arrays,
// zero for none: to make arrays of another library's tensors would take longer than a short run. directions[d] = (w_ih,
// w_hh, b_ih, b_hh, h0 and, of a cell that carries it, c0), the second reversed; outputs = (h, hn and cn), the states
// [D, B, H].
template <class T>
void forward_at(int cell, nb::handle x, Index B, Index steps, Index C, Index H, bool by_step, nb::list directions,
                nb::tuple outputs, int threads) {
  LayerForward<T> p{};
  LayerInput<T>& in = p.in;
  in.cell = static_cast<Cell>(cell);
  in.N = B * steps;
  in.B = B;
  in.C = C;
  in.H = H;
  in.x = at<T>(x);
  in.directions = static_cast<int>(directions.size());
  in.threads = worthwhile(in.N * kTraits[in.cell].gates * H * (H + C), threads);
  in.by_step = by_step;
  p.h = at<T>(outputs[0]);
  const bool carries_c = outputs.size() > 2;
  for (int d = 0; d < in.directions; ++d) {
    const nb::tuple of = nb::cast<nb::tuple>(directions[d]);
    in.direction[d] = {at<T>(of[0]),
                       at<T>(of[1]),
                       at<T>(of[2]),
                       at<T>(of[3]),
                       d == 1,
                       at<T>(of[4]),
                       carries_c ? at<T>(of[5]) : nullptr,
                       nullptr};
    p.hn[d] = at<T>(outputs[1]) + d * B * H;
    p.cn[d] = carries_c ? at<T>(outputs[2]) + d * B * H : nullptr;
  }
  Status status;
  unlocked(true, [&] {
    Index* const offsets = workspace().offsets.template get<Index>(B + 1);
    for (Index b = 0; b <= B; ++b) offsets[b] = b * steps;
    in.offsets = offsets;
    status = layer_forward(p);
  });
  check(status, 0);
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
    const auto read = [&](int which) {  // what is not to be overwritten may be read-only
      return overwrite ? pointer<T>(kept[d][which]) : const_cast<T*>(input<T>(kept[d][which]));
    };
    p.kept[d] = {read(0), read(1)};
    p.dhn[d] = input<T>(dstate[d][0]);
    p.dcn[d] = input<T>(dstate[d][1]);
    const nb::object g = gradients[d];
    LayerGradients<T>& to = p.gradients[d];
    to.w_ih = pointer<T>(g[0]);
    to.w_hh = pointer<T>(g[1]);
    to.b_ih = pointer<T>(g[2]);
    to.b_hh = pointer<T>(g[3]);
    to.h0 = pointer<T>(g[4]);
    to.c0 = pointer<T>(g[5]);
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
    p[m].h = h.data();
    p[m].offsets = offsets.data();
    p[m].H = H;
    p[m].mode = static_cast<PoolMode>(nb::cast<int>(modes[m]));
    p[m].pooled = pooled.data() + m * H;
    p[m].stride = count * H;
    p[m].dh = pointer<T>(dh);
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

template <class T>
void logarithms(In<T> x, Array<T> y, int threads) {
  in_pieces(static_cast<Index>(x.size()), 1 << 14, static_cast<Index>(x.size()) * kActivationCost, threads,
            [&](Index first, Index last) { kernels<T>().log(x.data(), y.data(), first, last); });
}

void exponentials(In<double> x, Array<double> y, int threads) {
  in_pieces(
      static_cast<Index>(x.size()), 1 << 14, static_cast<Index>(x.size()) * kActivationCost, threads,
      [&](Index first, Index last) { active_isa().crf->exp(x.data() + first, last - first, 0.0, y.data() + first); });
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
  m.def("log", &logarithms<T>, "x"_a.noconvert(), "y"_a.noconvert(), "threads"_a);
}

}  // namespace

void define_layers(nb::module_& m) {
  m.def("forward_at_f32", &forward_at<float>);
  m.def("forward_at_f64", &forward_at<double>);
  m.def("exp", &exponentials, "x"_a.noconvert(), "y"_a.noconvert(), "threads"_a);
  define<float>(m);
  define<double>(m);
}

}  // namespace tidegate
