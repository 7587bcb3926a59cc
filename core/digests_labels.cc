// The cases of sounds, frames and labels.
#include <cstdlib>
#include <memory>
#include <numeric>

#include "digests.h"
#include "losses/ctc.h"
#include "machine/threads.h"
#include "nodes/ctc.h"
#include "nodes/dense.h"
#include "nodes/recurrent.h"
#include "nodes/spectrogram.h"
#include "nodes/window.h"
#include "program/program.h"
#include "program/streams.h"
#include "structured/ctc_layer.h"

namespace tidegate {
namespace {

// Frames, labels and all that is made of them; labels that repeat a symbol among them.
void labels(Index K) {
  Numbers numbers(43);
  const std::vector<double> scores = numbers.draw<double>(kN * K, 9);
  std::vector<double> frames(kN * K), shares(kN * K), totals(kB), best(kB);
  std::vector<std::int32_t> symbols, states(kN);
  std::vector<Index> begins{0};
  for (Index b = 0; b < kB; ++b) {
    const Index length = (kOffsets[b + 1] - kOffsets[b]) / 2;
    for (Index l = 0; l < length; ++l) symbols.push_back(static_cast<std::int32_t>(1 + numbers.next() % (K - 1)));
    begins.push_back(static_cast<Index>(symbols.size()));
  }
  ctc_softmax(scores.data(), kN, K, 3, frames.data());
  const CtcBatch in{kN, kB, K, frames.data(), kOffsets.data(), symbols.data(), begins.data(), 3};
  if (ctc_totals(in, totals.data(), shares.data()) != Status::kOk) std::abort();
  if (ctc_align(in, states.data(), best.data()) != Status::kOk) std::abort();
  Digest().add(frames).print(named<double>("ctc/frames", "", {K, K}));
  Digest().add(totals).add(shares).print(named<double>("ctc/sums", "", {K, K}));
  Digest().add(states).add(best).print(named<double>("ctc/best", "", {K, K}));
}

template <class T>
void logarithm() {
  Numbers numbers(47);
  std::vector<T> x = numbers.draw<T>(1000, 4), y(1000);
  for (T& one : x) one = one < 0 ? -one : one;
  parallel(1, 1, [&](Index) { kernels<T>().log(x.data(), y.data(), 0, 1000); });
  Digest().add(y).print(named<T>("log", "", {1, 1000}));
}

// A sound that becomes frames, some of which are skipped, and spells labels: eight updates, then live.
template <class T>
void listening() {
  constexpr Index kFrame = 9, kHop = 2, kBins = 5, kBands = 3, kSymbols = 4, kUnits = 7;
  Numbers numbers(61);
  RecurrentOptions options{};
  options.input_size = 3 * kBands, options.hidden_size = kUnits;
  options.layers = 1;
  options.bias = true;
  const std::vector<double> basis = numbers.draw<double>(kFrame * 2 * kBins);
  std::vector<double> mel = numbers.draw<double>(kBins * kBands);
  for (double& one : mel) one *= one;
  std::vector<std::unique_ptr<Node<T>>> nodes;
  nodes.push_back(
      std::make_unique<Spectrogram<T>>(Frames{kFrame, kHop}, kBins, kBands, basis.data(), mel.data(), 0x1p-20));
  nodes.push_back(std::make_unique<Window<T>>(3, 2));
  nodes.push_back(std::make_unique<Recurrent<T>>(options, nullptr));
  nodes.push_back(std::make_unique<Dense<T>>(kUnits, kSymbols, kIdentity));
  nodes.push_back(std::make_unique<CtcNode<T>>());
  Program<T> program(std::move(nodes), Reads{{0}, {1}, {2}, {3}, {4}}, nullptr, 0, 1, kSymbols);
  std::vector<T> parameters = numbers.draw<T>(program.parameters(), 0.25), gradient(program.parameters());
  const std::vector<T> x = numbers.draw<T>(kN);
  std::vector<std::int32_t> symbols;
  std::vector<Index> begins{0};
  for (Index b = 0; b < kB; ++b) {
    const Index frames = program.rows(kOffsets[b + 1] - kOffsets[b], 5);
    for (Index l = 0; l < (frames + 1) / 2; ++l) symbols.push_back(1 + static_cast<std::int32_t>(l + b) % 3);
    begins.push_back(static_cast<Index>(symbols.size()));
  }
  const std::vector<double> weight(kB, 0.125);
  std::vector<double> losses(kB);
  CtcLikelihood<T> loss(symbols.data(), begins.data(), weight.data());
  const Sequenced<T> batch{kB, kN, kOffsets.data(), x.data(), nullptr};
  for (std::uint32_t step = 0; step < 8; ++step) {
    Index bad_token;
    program.pack(parameters.data(), parameters.data(), Use::kTrain, {59, step});
    if (program.gradient(batch, loss, 3, gradient.data(), losses.data(), bad_token) != Status::kOk) std::abort();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= gradient[i] / 64;
  }
  Digest().add(parameters).add(losses).print(named<T>("listening/training", "", {kFrame, kUnits}));
  program.pack(parameters.data(), parameters.data(), Use::kRun, {});
  Streams<T> live(program, kB, {});
  std::vector<Index> slots(kB);
  std::iota(slots.begin(), slots.end(), 0);
  std::vector<T> said(kN * kSymbols);
  live.run(slots.data(), kOffsets.data(), kB, x.data(), nullptr, true, said.data(), 2);
  Digest().add(said).print(named<T>("listening/stream", "", {kFrame, kUnits}));
}

}  // namespace

void digest_labels() {
  for (const Index K : {2, 5, 20}) labels(K);
  logarithm<float>();
  logarithm<double>();
  listening<float>();
  listening<double>();
}

}  // namespace tidegate
