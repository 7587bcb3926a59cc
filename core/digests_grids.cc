// The cases of images: cells of grids in four directions, forward and backward.
#include <cstdlib>
#include <numeric>

#include "digests.h"
#include "grid/layer.h"

namespace tidegate {
namespace {

const std::vector<Image> kSizes = {{3, 5}, {0, 4}, {1, 1}, {7, 2}, {1, 30}, {52, 50}, {9, 1}};

template <class T>
void grid(int cell, Size size, double scale) {
  const auto [C, H] = size;
  const GridOptions options{cell, 4, C, H};
  std::vector<Index> offsets{0};
  for (const Image& image : kSizes) offsets.push_back(offsets.back() + image.height * image.width);
  const Index N = offsets.back();
  Arena arena;
  GridLayer<T> layer(options);
  Numbers numbers(67);
  const std::vector<T> x = numbers.draw<T>(N * C, scale), dh = numbers.draw<T>(N * 4 * H, scale);
  const std::vector<T> parameters = numbers.draw<T>(layer.parameters(), 0.25);
  std::vector<T> h(N * 4 * H), gradient(layer.parameters()), dx(N * C), gates(4 * N * kGridGates * H), c(4 * N * H);
  layer.pack(parameters.data(), true, arena);
  GridRun<T> run{plan_grid({static_cast<Index>(kSizes.size()), offsets.data(), kSizes.data()}, 4, arena), {}};
  for (int d = 0; d < 4; ++d) {
    run.kept.gates[d] = gates.data() + d * N * kGridGates * H;
    run.kept.c[d] = c.data() + d * N * H;
  }
  const std::string name = std::string("grid/") + kGridTraits[cell].name;
  const char* const faint = scale < 1e-9 ? "/faint" : "";
  layer.forward(run, x.data(), h.data(), 3);
  Digest().add(h).add(gates).add(c).print(named<T>((name + "/forward").c_str(), faint, size));
  layer.backward(run, x.data(), h.data(), dh.data(), true, gradient.data(), dx.data(), 3, arena);
  Digest().add(gradient).add(dx).print(named<T>((name + "/backward").c_str(), faint, size));
  for (int d = 0; d < 4; ++d) run.kept.gates[d] = nullptr;
  std::fill(gradient.begin(), gradient.end(), T(0));
  layer.backward(run, x.data(), h.data(), dh.data(), false, gradient.data(), dx.data(), 3, arena);
  Digest().add(gradient).add(dx).print(named<T>((name + "/again").c_str(), faint, size));
}

template <class T>
void all() {
  for (int cell = 0; cell < kGridCells; ++cell) {
    for (const Size size : {Size{1, 1}, Size{3, 7}, Size{20, 33}}) grid<T>(cell, size, 0.5);
    grid<T>(cell, {3, 7}, sizeof(T) == 4 ? 0x1p-60 : 0x1p-500);
  }
}

}  // namespace

void digest_grids() {
  all<float>();
  all<double>();
}

}  // namespace tidegate
