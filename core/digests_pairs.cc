// The cases of pairs: an encoder, a decoder that attends to it, and targets that are taken on step by step.
#include <cstdlib>
#include <memory>
#include <numeric>

#include "digests.h"
#include "losses/cross_entropy.h"
#include "nodes/attend.h"
#include "nodes/dense.h"
#include "nodes/join.h"
#include "nodes/pool.h"
#include "nodes/recurrent.h"
#include "nodes/take.h"
#include "nodes/tied.h"
#include "program/decoder.h"

namespace tidegate {
namespace {

constexpr Index kWords = 40, kWidth = 5, kUnits = 7;

RecurrentOptions options(bool encodes) {
  RecurrentOptions made{};
  made.input_size = kWidth, made.hidden_size = kUnits;
  made.layers = 1;
  made.bidirectional = encodes, made.starts = !encodes;
  made.bias = true;
  made.recurrent_dropout = 0.25;
  return made;
}

template <class T>
std::unique_ptr<Program<T>> translator(Score score) {
  const Index memory = score == Score::kDot ? kUnits : 2 * kUnits;
  std::vector<std::unique_ptr<Node<T>>> nodes;
  auto table = std::make_unique<Embed<T>>(kWords, kWidth, 0, 0.25, false);
  Embed<T>* const embed = table.get();
  nodes.push_back(std::move(table));
  nodes.push_back(std::make_unique<Take<T>>(false));
  RecurrentOptions reads = options(true);
  reads.merge = score == Score::kDot ? Merge::kSum : Merge::kConcat;
  auto encoder = std::make_unique<Recurrent<T>>(reads, nullptr);
  auto pool = std::make_unique<Pooling<T>>(std::vector<PoolMode>{kLast, kMean}, encoder.get());
  nodes.push_back(std::move(encoder));
  nodes.push_back(std::move(pool));
  nodes.push_back(std::make_unique<Dense<T>>(2 * memory, kUnits, kTanh));
  nodes.push_back(std::make_unique<Take<T>>(true));
  nodes.push_back(std::make_unique<Recurrent<T>>(options(false), nullptr));
  nodes.push_back(std::make_unique<Attend<T>>(score, kUnits, memory, score == Score::kAdditive ? 6 : 0));
  nodes.push_back(std::make_unique<Join<T>>(2, kUnits + memory));
  nodes.push_back(std::make_unique<Dense<T>>(kUnits + memory, kWidth, kTanh));
  nodes.push_back(std::make_unique<Tied<T>>(*embed));
  const Reads flows{{0}, {1}, {2}, {3}, {4}, {1}, {6, 5}, {7, 3}, {7, 8}, {9}, {10}};
  return std::make_unique<Program<T>>(std::move(nodes), flows, embed, 0, 0, kWords);
}

// Eight updates of pairs, some of whose sides are empty, and then their targets live.
template <class T>
void translating(Score score) {
  const auto program = translator<T>(score);
  Numbers numbers(67);
  std::vector<T> parameters = numbers.draw<T>(program->parameters(), 0.25), gradient(program->parameters());
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> labels;
  std::vector<Index> cut, begin{0};
  for (Index n = 0; n < kN; ++n) ids.push_back(static_cast<std::int32_t>(numbers.next() % kWords));
  for (Index b = 0; b < kB; ++b) {
    const Index rows = kOffsets[b + 1] - kOffsets[b];
    cut.push_back(b % 3 == 2 ? rows : rows / 2);
    begin.push_back(begin.back() + rows - cut.back());
  }
  for (Index n = 0; n < begin.back(); ++n) labels.push_back(static_cast<std::int64_t>(numbers.next() % kWords));
  const std::vector<double> weight(kB, 0.125);
  std::vector<double> losses(kB);
  CrossEntropy<T> loss(labels.data(), begin.data(), weight.data(), 0.125);
  const Sequenced<T> batch{kB, kN, kOffsets.data(), nullptr, ids.data(), cut.data()};
  Index bad_token;
  for (std::uint32_t step = 0; step < 8; ++step) {
    std::fill(gradient.begin(), gradient.end(), T(0));
    program->pack(parameters.data(), parameters.data() + program->table_size(), Use::kTrain, {59, step});
    if (program->gradient(batch, loss, 3, gradient.data(), losses.data(), bad_token) != Status::kOk) std::abort();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= gradient[i] / 64;
  }
  const Size size{kWidth, static_cast<Index>(score)};
  Digest().add(parameters).add(losses).print(named<T>("translating/training", "", size));
  program->pack(parameters.data(), parameters.data() + program->table_size(), Use::kRun, {});
  Decoder<T> decoder(*program, kB);
  std::vector<Index> slots(kB), sources(kB);
  std::iota(slots.begin(), slots.end(), Index(0));
  for (Index b = 0; b < kB; ++b) cut[b] = kOffsets[b + 1] - kOffsets[b];
  if (decoder.open(batch, 3, sources.data(), bad_token) != Status::kOk) std::abort();
  decoder.start(slots.data(), sources.data(), kB);
  std::vector<T> scores(kB * kWords), weights;
  for (Index step = 0; step < 4; ++step) {
    if (!decoder.step(slots.data(), ids.data() + step * kB, kB, scores.data(), 2)) std::abort();
  }
  for (Index row = 0; row < kB; ++row) {
    const auto of = decoder.attentions().front()->weights(row);
    weights.insert(weights.end(), of.data, of.data + of.rows);
  }
  Digest().add(scores).add(weights).print(named<T>("translating/decoder", "", size));
}

}  // namespace

void digest_pairs() {
  for (const Score score : {Score::kDot, Score::kGeneral, Score::kAdditive}) {
    translating<float>(score);
    translating<double>(score);
  }
}

}  // namespace tidegate
