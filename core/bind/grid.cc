// Layers of cells of grids, and what is known of those.
#include <nanobind/stl/string.h>

#include "bind/bind.h"
#include "bind/unlocked.h"
#include "grid/layer.h"

namespace tidegate {
namespace {

// The arguments that both ways have in common.
template <class T>
struct Call {
  GridOptions options;
  Images images;
  const T *x, *parameters;
  GridKept<T> kept{};
  int threads;

  // sizes [B, 2]: heights and widths; gates [D, N, 5*H] or None, c [D, N, H].
  Call(int cell, int directions, In<T> cells, In<Index> offsets, In<Index> sizes, In<T> flat, T* gates, T* c, Index H,
       int most)
      : options{cell, directions, static_cast<Index>(cells.shape(1)), H},
        images{static_cast<Index>(sizes.shape(0)), offsets.data(), reinterpret_cast<const Image*>(sizes.data())},
        x(cells.data()),
        parameters(flat.data()),
        threads(most) {
    static_assert(sizeof(Image) == 2 * sizeof(Index));
    const auto N = static_cast<Index>(cells.shape(0));
    for (int d = 0; d < directions; ++d) {
      kept.gates[d] = gates ? gates + d * N * kGridGates * H : nullptr;
      kept.c[d] = c + d * N * H;
    }
  }

  // Calls f(layer, run, arena) without the interpreter lock.
  template <class F>
  void go(bool back, const F& f) const {
    Status status = Status::kOk;
    unlocked(true, [&] {
      try {
        Arena arena;
        GridLayer<T> layer(options);
        layer.pack(parameters, back, arena);
        f(layer, GridRun<T>{plan_grid(images, options.directions, arena), kept}, arena);
      } catch (const std::bad_alloc&) {
        status = Status::kOutOfMemory;
      }
    });
    check(status, 0);
  }
};

template <class T>
void forward(int cell, int directions, In<T> x, In<Index> offsets, In<Index> sizes, In<T> parameters, Array<T> h,
             nb::object gates, Array<T> c, int threads) {
  const Call<T> call(cell, directions, x, offsets, sizes, parameters, pointer<T>(gates), c.data(),
                     static_cast<Index>(c.shape(2)), threads);
  T* const to = h.data();
  call.go(false, [&](const GridLayer<T>& layer, const GridRun<T>& run, Arena&) {
    layer.forward(run, call.x, to, call.threads);
  });
}

// gradient [parameters] is added to, dx [N, C] written. What the way forward left is read alone.
template <class T>
void backward(int cell, int directions, In<T> x, In<Index> offsets, In<Index> sizes, In<T> parameters, In<T> h,
              nb::object gates, In<T> c, In<T> dh, Array<T> gradient, nb::object dx, int threads) {
  const Call<T> call(cell, directions, x, offsets, sizes, parameters, const_cast<T*>(input<T>(gates)),
                     const_cast<T*>(c.data()), static_cast<Index>(c.shape(2)), threads);
  T *const to = gradient.data(), *const to_x = pointer<T>(dx);
  call.go(true, [&](const GridLayer<T>& layer, const GridRun<T>& run, Arena& arena) {
    layer.backward(run, call.x, h.data(), dh.data(), false, to, to_x, call.threads, arena);
  });
}

template <class T>
void define(nb::module_& m) {
  m.def("grid_forward", &forward<T>, "cell"_a, "directions"_a, "x"_a.noconvert(), "offsets"_a.noconvert(),
        "sizes"_a.noconvert(), "parameters"_a.noconvert(), "h"_a.noconvert(), "gates"_a.none(), "c"_a.noconvert(),
        "threads"_a);
  m.def("grid_backward", &backward<T>, "cell"_a, "directions"_a, "x"_a.noconvert(), "offsets"_a.noconvert(),
        "sizes"_a.noconvert(), "parameters"_a.noconvert(), "h"_a.noconvert(), "gates"_a.none(), "c"_a.noconvert(),
        "dh"_a.noconvert(), "gradient"_a.noconvert(), "dx"_a.none(), "threads"_a);
}

nb::list cells() {
  nb::list all;
  for (const GridTraits& traits : kGridTraits) {
    nb::list letters;
    for (const char* letter : traits.letters) letters.append(letter);
    all.append(nb::make_tuple(traits.name, nb::tuple(letters)));
  }
  return all;
}

}  // namespace

void define_grid(nb::module_& m) {
  m.def("grid_cells", &cells);
  m.def("grid_computed_again", [](Index N, Index H, int bytes) {
    return bytes == 4 ? computed_again<float>(N, H) : computed_again<double>(N, H);
  });
  define<float>(m);
  define<double>(m);
}

}  // namespace tidegate
