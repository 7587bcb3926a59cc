// Runs every kernel over made-up cases and prints a digest of each result, per ISA: how two machines are compared.
// Input comes from whole numbers alone, so that it is the same everywhere. Shares no check with the Python tests.
#include "digests.h"

#include <cstdlib>
#include <numeric>

#include "decode/digests.h"
#include "isa/dispatch.h"
#include "layer/layer.h"
#include "losses/cross_entropy.h"
#include "machine/threads.h"
#include "nodes/dense.h"
#include "nodes/dropout.h"
#include "nodes/join.h"
#include "nodes/pool.h"
#include "nodes/wide.h"
#include "program/optimiser.h"
#include "program/program.h"
#include "program/sampler.h"
#include "program/streams.h"
#include "structured/crf_layer.h"

namespace {

using namespace tidegate;

// What one direction reads and writes.
template <class T>
struct Side {
  std::vector<T> w_ih, w_hh, b_ih, b_hh, h0, c0, mask, dhn, dcn;
  std::vector<T> hn, cn, gates, memo, dw_ih, dw_hh, db_ih, db_hh, dh0, dc0;

  Side(Numbers& numbers, Index GH, Size size, double scale) {
    const auto [C, H] = size;
    w_ih = numbers.draw<T>(GH * C, scale), w_hh = numbers.draw<T>(GH * H, scale);
    b_ih = numbers.draw<T>(GH), b_hh = numbers.draw<T>(GH), mask = numbers.draw<T>(kB * H, 2);
    for (auto* state : {&h0, &c0, &dhn, &dcn}) *state = numbers.draw<T>(kB * H);
    for (auto* state : {&hn, &cn, &dh0, &dc0}) state->resize(kB * H);
    gates.resize(kN * GH), memo.resize(kN * H);
    dw_ih.resize(GH * C), dw_hh.resize(GH * H), db_ih.resize(GH), db_hh.resize(GH);
  }

  Direction<T> direction(bool reverse) const {
    Direction<T> d{};
    d.w_ih = w_ih.data(), d.w_hh = w_hh.data(), d.b_ih = b_ih.data(), d.b_hh = b_hh.data();
    d.h0 = h0.data(), d.c0 = c0.data(), d.mask = mask.data();
    d.reverse = reverse;
    return d;
  }
};

template <class T>
LayerInput<T> input(Cell cell, Size size, const std::vector<T>& x, const Side<T>* sides) {
  LayerInput<T> in{};
  in.cell = cell;
  in.N = kN, in.B = kB, in.C = size.C, in.H = size.H;
  in.offsets = kOffsets.data();
  in.x = x.data();
  in.directions = 2;
  for (int d = 0; d < 2; ++d) in.direction[d] = sides[d].direction(d == 1);
  in.threads = 3;
  return in;
}

// A layer of two directions, forward and backward. A small `scale` lets numbers fade below the smallest normal one.
template <class T>
void layer(Cell cell, Size size, double scale) {
  const auto [C, H] = size;
  const Index GH = kTraits[cell].gates * H;
  Numbers numbers(17);
  const std::vector<T> x = numbers.draw<T>(kN * C, scale), dh = numbers.draw<T>(kN * 2 * H, scale);
  std::vector<T> h(kN * 2 * H), dx(kN * C);
  Side<T> sides[2] = {{numbers, GH, size, scale}, {numbers, GH, size, scale}};
  LayerForward<T> forward{};
  LayerBackward<T> backward{};
  forward.in = backward.in = input(cell, size, x, sides);
  forward.h = h.data();
  backward.h = h.data(), backward.dh = dh.data(), backward.dx = dx.data();
  for (int d = 0; d < 2; ++d) {
    Side<T>& s = sides[d];
    forward.hn[d] = s.hn.data(), forward.cn[d] = s.cn.data();
    forward.kept[d] = backward.kept[d] = {s.gates.data(), s.memo.data()};
    backward.dhn[d] = s.dhn.data(), backward.dcn[d] = s.dcn.data();
    LayerGradients<T>& to = backward.gradients[d];
    to.w_ih = s.dw_ih.data(), to.w_hh = s.dw_hh.data(), to.b_ih = s.db_ih.data(), to.b_hh = s.db_hh.data();
    to.h0 = s.dh0.data(), to.c0 = s.dc0.data();
  }
  if (layer_forward(forward) != Status::kOk || layer_backward(backward) != Status::kOk) std::abort();
  Digest digest_forward, digest_backward;
  digest_forward.add(h), digest_backward.add(dx);
  for (const Side<T>& s : sides) {
    digest_forward.add(s.hn).add(s.cn).add(s.gates).add(s.memo);
    digest_backward.add(s.dw_ih).add(s.dw_hh).add(s.db_ih).add(s.db_hh).add(s.dh0).add(s.dc0);
  }
  digest_forward.print(named<T>(kTraits[cell].name, scale < 1e-9 ? "/forward/faint" : "/forward", size));
  digest_backward.print(named<T>(kTraits[cell].name, scale < 1e-9 ? "/backward/faint" : "/backward", size));
}

RecurrentOptions one_layer(Cell cell, Size size) {
  RecurrentOptions options{};
  options.cell = cell;
  options.input_size = size.C, options.hidden_size = size.H;
  options.layers = 1;
  options.bias = true;
  return options;
}

// What nodes read of which each follows the one before.
Reads chain(std::size_t nodes) {
  Reads reads;
  for (std::size_t i = 0; i < nodes; ++i) reads.push_back({i});
  return reads;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class T>
void stream(Cell cell, Size size) {
  const auto [C, H] = size;
  Numbers numbers(23);
  const Side<T> side(numbers, kTraits[cell].gates * H, size, 0.5);
  std::vector<T> parameters;
  for (const auto* part : {&side.w_ih, &side.w_hh, &side.b_ih, &side.b_hh}) append(parameters, *part);
  std::vector<std::unique_ptr<Node<T>>> nodes;
  nodes.push_back(std::make_unique<Recurrent<T>>(one_layer(cell, size), nullptr));
  Program<T> program(std::move(nodes), chain(1), nullptr, 0, C, H);
  program.pack(parameters.data(), parameters.data() + program.table_size(), Use::kRun, {});
  Streams<T> live(program, kB, {});
  for (Index b = 0; b < kB; ++b) {
    std::vector<T> state(side.h0.begin() + b * H, side.h0.begin() + (b + 1) * H);
    state.insert(state.end(), side.c0.begin() + b * H, side.c0.begin() + (b + 1) * H);
    live.write(b, state.data(), 0);
  }
  std::vector<Index> slots(kB), offsets(kB + 1);
  std::iota(slots.begin(), slots.end(), 0);
  std::iota(offsets.begin(), offsets.end(), 0);
  std::vector<T> h(kB * H);
  Digest digest;
  for (int step = 0; step < 5; ++step) {
    live.run(slots.data(), offsets.data(), kB, numbers.draw<T>(kB * C).data(), nullptr, false, h.data(), 2);
    digest.add(h);
  }
  digest.print(named<T>(kTraits[cell].name, "/stream", size));
}

// Sequences of uneven lengths through a layer that looks ahead, pools of it, and a matrix.
template <class T>
void live_network(Cell cell, Size size) {
  const auto [C, H] = size;
  Numbers numbers(29);
  const Side<T> side(numbers, kTraits[cell].gates * H, size, 0.5);
  const std::vector<T> w = numbers.draw<T>(3 * 4 * H), bias = numbers.draw<T>(3);
  std::vector<T> parameters;
  for (int direction = 0; direction < 2; ++direction) {
    for (const auto* part : {&side.w_ih, &side.w_hh, &side.b_ih, &side.b_hh}) append(parameters, *part);
  }
  append(parameters, w), append(parameters, bias);
  RecurrentOptions options = one_layer(cell, size);
  options.bidirectional = true;
  options.merge = Merge::kMul;
  auto layer = std::make_unique<Recurrent<T>>(options, nullptr);
  auto pool = std::make_unique<Pooling<T>>(std::vector<PoolMode>{kMean, kLast, kMax, kFirst}, layer.get());
  std::vector<std::unique_ptr<Node<T>>> nodes;
  nodes.push_back(std::move(layer));
  nodes.push_back(std::move(pool));
  nodes.push_back(std::make_unique<Dense<T>>(4 * H, 3, kTanh));
  Program<T> program(std::move(nodes), chain(3), nullptr, 0, C, 3);
  program.pack(parameters.data(), parameters.data() + program.table_size(), Use::kRun, {});
  Streams<T> live(program, kB, {3});
  std::vector<Index> slots(kB);
  std::iota(slots.begin(), slots.end(), 0);
  std::vector<T> said(kB * 3);
  Digest digest;
  for (int turn = 0; turn < 2; ++turn) {
    live.run(slots.data(), kOffsets.data(), kB, numbers.draw<T>(kN * C).data(), nullptr, turn == 1, said.data(), 2);
    digest.add(said);
  }
  digest.print(named<T>(kTraits[cell].name, "/stream/network", size));
}

template <class T>
void around(Size size) {
  const auto [C, H] = size;
  Numbers numbers(31);
  const std::vector<T> x = numbers.draw<T>(kN * C, 3), w = numbers.draw<T>(C * H), bias = numbers.draw<T>(H);
  std::vector<T> y(kN * H), z(kN * H), pooled(kB * H), dx(kN * H);
  for (const Activation activation : {kIdentity, kRelu, kTanh, kSigmoid}) {
    dense(x.data(), w.data(), false, bias.data(), y.data(), kN, C, H, activation, 3);
    Digest().add(y).print(named<T>("linear/", std::to_string(activation).c_str(), size));
    parallel(1, 1, [&](Index) { kernels<T>().activate(activation, y.data(), z.data(), 0, kN * H); });
    Digest().add(z).print(named<T>("activate/", std::to_string(activation).c_str(), size));
  }
  parallel(1, 1, [&](Index) { kernels<T>().softmax(y.data(), H, z.data(), 0, kN); });
  Digest().add(z).print(named<T>("softmax", "", size));
  for (const PoolMode mode : {kLast, kFirst, kMax, kMean}) {
    Pool<T> pool{};
    pool.h = z.data(), pool.offsets = kOffsets.data();
    pool.H = pool.stride = H;
    pool.mode = mode;
    pool.pooled = pooled.data(), pool.dh = dx.data();
    parallel(1, 1, [&](Index) {
      kernels<T>().pool(pool, 0, kB);
      kernels<T>().pool_backward(pool, 0, kB);
    });
    Digest().add(pooled).add(dx).print(named<T>("pool/", std::to_string(mode).c_str(), size));
  }
  Sampler<T> sampler(C, H, w.data(), bias.data());
  std::vector<Index> chosen;
  for (int i = 0; i < 50; ++i) chosen.push_back(sampler.choose(x.data() + i * C, {0.7, i % 5, 0.9}, i / 50.0, 2));
  Digest().add(chosen).print(named<T>("sampler", "", size));
}

// What each text brings besides its ids: numbers beside these, and features of the whole.
template <class T>
struct Brought {
  explicit Brought(Numbers& numbers) : beside(numbers.draw<T>(kN * kBeside)) {
    for (Index b = 0; b < kB; ++b) {
      for (Index i = 0; i < b % 4; ++i) ids.push_back(static_cast<std::int32_t>(numbers.next() % kFeatures));
      offsets.push_back(static_cast<Index>(ids.size()));
    }
    values = numbers.draw<T>(offsets.back());
  }
  static constexpr Index kBeside = 2, kFeatures = 11;
  std::vector<T> beside, values;
  std::vector<std::int32_t> ids;
  std::vector<Index> offsets{0};
};

constexpr Index kWords = 40, kClasses = 3;

// The weights of a small network after eight updates; `wide`: its node that reads features of whole texts, or null.
template <class T>
void updates(Program<T>& program, Wide<T>* wide, UpdateRule rule, const std::string& name) {
  Numbers numbers(53);
  const Index count = program.parameters();
  std::vector<T> parameters = numbers.draw<T>(count, 0.125), gradient(count), first(count), second(count);
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> labels;
  for (Index n = 0; n < kN; ++n) ids.push_back(static_cast<std::int32_t>(numbers.next() % kWords));
  for (Index b = 0; b < kB; ++b) labels.push_back(static_cast<std::int64_t>(numbers.next() % kClasses));
  std::vector<Index> begin(kB + 1);
  std::iota(begin.begin(), begin.end(), Index(0));
  const std::vector<double> weight(kB, 0.125), decay{0.0625};
  std::vector<double> losses(kB);
  CrossEntropy<T> loss(labels.data(), begin.data(), weight.data(), 0);
  const Brought<T> brought(numbers);
  const Sequenced<T> batch{kB, kN, kOffsets.data(), wide ? brought.beside.data() : nullptr, ids.data()};
  if (wide) wide->read({kB, brought.offsets.data(), brought.ids.data(), brought.values.data()});
  const Index ends[] = {0, count};
  Update<T> update{};
  update.rule = rule;
  update.parameter = parameters.data(), update.gradient = gradient.data();
  update.first = first.data(), update.second = second.data();
  update.scale = update.correction1 = update.correction2 = 1;
  update.rate = T(1) / 64, update.beta1 = T(7) / 8, update.beta2 = T(15) / 16, update.epsilon = T(1) / 1024;
  for (std::uint32_t step = 0; step < 8; ++step) {
    Index bad_token;
    std::fill(gradient.begin(), gradient.end(), T(0));
    program.pack(parameters.data(), parameters.data() + program.table_size(), Use::kTrain, {59, step});
    if (program.gradient(batch, loss, 3, gradient.data(), losses.data(), bad_token) != Status::kOk) std::abort();
    update_all(update, ends, decay.data(), 1, 3);
  }
  for (const T parameter : parameters) {
    if (!(parameter > -100 && parameter < 100)) std::abort();  // weights that have diverged would tell little
  }
  Digest().add(parameters).print(name);
}

// With all that is dropped on the way; `brings`: with numbers beside the tokens, and features of whole texts.
template <class T>
void training(Cell cell, Size size, UpdateRule rule, bool brings = false) {
  const auto [C, H] = size;
  RecurrentOptions options{};
  options.cell = cell;
  const Index beside = brings ? Brought<T>::kBeside : 0;
  options.input_size = C + beside, options.hidden_size = H;
  options.layers = 2;
  options.bidirectional = options.bias = true;
  options.merge = Merge::kSum;
  options.dropout = options.recurrent_dropout = options.weight_dropout = 0.25;
  std::vector<std::unique_ptr<Node<T>>> nodes;
  auto table = std::make_unique<Embed<T>>(kWords, C, beside, 0.25, !brings);
  auto recurrent = std::make_unique<Recurrent<T>>(options, brings ? nullptr : table.get());
  auto pool = std::make_unique<Pooling<T>>(std::vector<PoolMode>{kLast, kMax}, recurrent.get());
  Embed<T>* const embed = table.get();
  nodes.push_back(std::move(table));
  nodes.push_back(std::move(recurrent));
  nodes.push_back(std::move(pool));
  nodes.push_back(std::make_unique<Dropout<T>>(0.25, false));
  nodes.push_back(std::make_unique<Dense<T>>(2 * H, kClasses, kIdentity));
  Wide<T>* wide = nullptr;
  if (brings) {
    auto last = std::make_unique<Wide<T>>(Brought<T>::kFeatures, kClasses);
    wide = last.get();
    nodes.push_back(std::move(last));
  }
  const Reads reads = chain(nodes.size());
  Program<T> program(std::move(nodes), reads, embed, 0, 0, kClasses);
  const std::string of = std::to_string(cell) + (brings ? "/brought" : "");
  updates(program, wide, rule, named<T>("training/", of.c_str(), size));
}

// With branches: what a dense node makes of the words is read by two layers and pooled, and all of that is joined.
template <class T>
void branching(Cell cell, Size size) {
  const auto [C, H] = size;
  RecurrentOptions options = one_layer(cell, {C, H});
  std::vector<std::unique_ptr<Node<T>>> nodes;
  auto table = std::make_unique<Embed<T>>(kWords, C, 0, 0.25, false);
  Embed<T>* const embed = table.get();
  nodes.push_back(std::move(table));
  nodes.push_back(std::make_unique<Dense<T>>(C, C, kTanh));
  Recurrent<T>* layers[2];
  for (Recurrent<T>*& layer : layers) {
    auto made = std::make_unique<Recurrent<T>>(options, nullptr);
    layer = made.get();
    nodes.push_back(std::move(made));
    options.reverse = true;
  }
  for (Recurrent<T>* const layer : layers) {
    nodes.push_back(std::make_unique<Pooling<T>>(std::vector<PoolMode>{kLast, kMean}, layer));
  }
  nodes.push_back(std::make_unique<Pooling<T>>(std::vector<PoolMode>{kMax}, nullptr));
  nodes.push_back(std::make_unique<Join<T>>(3, 4 * H + C));
  nodes.push_back(std::make_unique<Dense<T>>(4 * H + C, kClasses, kIdentity));
  const Reads reads{{0}, {1}, {2}, {2}, {3}, {4}, {2}, {5, 6, 7}, {8}};
  Program<T> program(std::move(nodes), reads, embed, 0, 0, kClasses);
  updates<T>(program, nullptr, kAdam, named<T>("branches/", std::to_string(cell).c_str(), size));
}

void field(Index K) {
  Numbers numbers(41);
  const std::vector<double> emissions = numbers.draw<double>(kN * K, 9), transitions = numbers.draw<double>(K * K, 4),
                            start = numbers.draw<double>(K), end = numbers.draw<double>(K),
                            weight = numbers.draw<double>(kB);
  std::vector<double> alpha(kN * K), partition(kB), de(kN * K), dt(K * K), ds(K), dn(K), scores(kB * 3);
  std::vector<std::int32_t> tags(3 * kN);
  CrfScores in{};
  in.N = kN, in.B = kB, in.K = K;
  in.emissions = emissions.data(), in.offsets = kOffsets.data();
  in.transitions = transitions.data(), in.start = start.data(), in.end = end.data();
  in.threads = 3;
  if (crf_partition(in, alpha.data(), partition.data()) != Status::kOk) std::abort();
  if (crf_gradient(in, alpha.data(), weight.data(), de.data(), dt.data(), ds.data(), dn.data()) != Status::kOk) {
    std::abort();
  }
  if (crf_best_paths(in, 3, tags.data(), scores.data()) != Status::kOk) std::abort();
  Digest().add(partition).print(named<double>("crf/partition", "", {K, K}));
  Digest().add(de).add(dt).add(ds).add(dn).print(named<double>("crf/gradient", "", {K, K}));
  Digest().add(tags).add(scores).print(named<double>("crf/best", "", {K, K}));
}

template <class T>
void all() {
  for (const Size size : {Size{1, 1}, Size{3, 7}, Size{20, 32}, Size{33, 65}}) {
    for (int i = 0; i < kCells; ++i) {
      const Cell cell = static_cast<Cell>(i);
      layer<T>(cell, size, 0.4);
      layer<T>(cell, size, sizeof(T) == 4 ? 0x1p-60 : 0x1p-500);
      stream<T>(cell, size);
      live_network<T>(cell, size);
    }
    around<T>(size);
  }
  for (int i = 0; i < kCells; ++i) training<T>(static_cast<Cell>(i), {3, 7}, static_cast<UpdateRule>(i % 3));
  training<T>(static_cast<Cell>(0), {3, 7}, static_cast<UpdateRule>(0), true);
  for (int i = 0; i < kCells; ++i) branching<T>(static_cast<Cell>(i), {3, 7});
}

}  // namespace

int main() {
  const Isa* isas[kMostIsas];
  const int count = available_isas(isas);
  for (int i = 0; i < count; ++i) {
    use_isa(*isas[i]);
    all<float>();
    all<double>();
    for (const Index K : {1, 5, 20}) field(K);
    digest_labels();
    digest_grids();
    digest_pairs();
    parallel(1, 1, [](Index) { beam_digests<Digest, Numbers>(kOffsets); });
  }
}
