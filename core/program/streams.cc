#include "program/streams.h"

#include <algorithm>
#include <numeric>

#include "machine/denormals.h"

namespace tidegate {
namespace {

constexpr Index kBlock = 64;  // rows of one sequence that the last node gets together, which bounds the room they need

template <class T>
bool withholds(Program<T>& program, const std::vector<Index>& ahead) {
  bool any = std::accumulate(ahead.begin(), ahead.end(), Index(0)) > 0;
  for (std::size_t i = 0; i < program.size(); ++i) any |= program.node(i).withholds();
  return any;
}

}  // namespace

template <class T>
Streams<T>::Streams(Program<T>& program, Index capacity, const std::vector<Index>& ahead,
                    const std::vector<Index>* source)
    : reads_(program.reads()),
      capacity_(capacity),
      out_(program.output_size()),
      pooled_(program.rows(0, program.size()) > 0),
      state_(pooled_ && withholds(program, ahead) ? 2 * capacity : capacity),
      steps_(state_.slots(), 0),
      flows_(program.size() + 1),
      received_(program.size() + 1) {
  LivePlan<T> plan{state_, ahead, program.width()};
  plan.source = source;
  std::vector<LivePath<T>> paths(program.size() + 1);
  std::vector<int> readers(program.size() + 1);
  for (const auto& read : reads_) {
    for (const std::size_t flow : read) ++readers[flow];
  }
  paths[0].features = program.width();
  for (std::size_t i = 0; i < program.size(); ++i) {
    plan.read.clear();
    for (const std::size_t flow : reads_[i]) plan.read.push_back(paths[flow]);
    plan.gave = plan.read.front();
    plan.gave.aside |= source && program.node(i).takes_sources();
    if (plan.gave.aside) {
      const auto aside = [&](const LivePath<T>& path) { return path.aside || program.node(i).takes_sources(); };
      if (!std::all_of(plan.read.begin(), plan.read.end(), aside)) {
        throw std::invalid_argument("what is made of sources reads targets, which are not known when a source is read");
      }
      nodes_.push_back({nullptr, paths[i + 1] = plan.gave});
      continue;
    }
    plan.gave.above |= plan.gave.pool != nullptr;
    plan.gave.pool = nullptr;
    std::unique_ptr<LiveNode<T>> made = program.node(i).live(plan);
    if (made && plan.gave.table == plan.read.front().table) plan.gave.table = nullptr;  // its rows have become others
    if (readers[i + 1] > 1) plan.gave.table = nullptr;
    lookahead_ = std::max(lookahead_, plan.gave.waits);
    paths[i + 1] = plan.gave;
    nodes_.push_back({std::move(made), plan.gave});
  }
  if (plan.taken != ahead.size()) throw std::invalid_argument("fewer layers run backward");
  Index stride = 1;
  for (const LivePath<T>& path : paths) stride = std::max(stride, path.stride);
  block_rows_ = kBlock * stride;
  at_once_ = due(program.size(), 1, false) == 1 && due(program.size(), 2, false) == 2;
  width_ = plan.width;
  vocabulary_ = plan.vocabulary;
}

template <class T>
bool Streams<T>::distinct(const Index* slot, Index n) {
  seen_.assign(capacity_, 0);
  for (Index i = 0; i < n; ++i) {
    if (slot[i] < 0 || slot[i] >= capacity_ || seen_[slot[i]]++) return false;
  }
  return true;
}

template <class T>
Index Streams<T>::rows_after(Index slot, Index steps, bool ending) const {
  if (pooled_) return 1;
  const Index now = steps_[slot], last = static_cast<Index>(nodes_.size());
  return due(last, now + steps, ending) - due(last, now, false);
}

template <class T>
Index Streams<T>::due(std::size_t flow, Index steps, bool ending) const {
  if (flow == 0) return steps;
  const Index received = due(reads_[flow - 1].front(), steps, ending);
  const LiveNode<T>* const node = nodes_[flow - 1].node.get();
  return node ? node->due(received, ending) : received;
}

template <class T>
void Streams<T>::run(const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids, bool ending,
                     T* out, int threads) {
  const FlushDenormals flush;
  Index longest = 0;
  written_.assign(n + 1, 0);
  for (Index i = 0; i < n; ++i) {
    longest = std::max(longest, offsets[i + 1] - offsets[i]);
    written_[i + 1] = written_[i] + rows_after(slot[i], offsets[i + 1] - offsets[i], ending);
  }
  block_.resize(n + 1);
  for (Index begin = 0; begin == 0 || begin < longest; begin += block_rows_) {
    block_[0] = 0;
    for (Index i = 0; i < n; ++i) {
      const Index left = offsets[i + 1] - offsets[i] - begin;
      block_[i + 1] = block_[i] + std::clamp<Index>(left, 0, block_rows_);
    }
    const LiveTurn turn{slot, n, ending && begin + block_rows_ >= longest, threads};
    walk(turn, first(offsets, n, begin, longest <= block_rows_, x, ids));
    for (Index i = 0; i < n; ++i) steps_[slot[i]] += block_[i + 1] - block_[i];
    if (pooled_) continue;
    const LiveRows<T>& rows = flows_.back();
    for (Index i = 0; i < n; ++i) {
      const Index count = rows.offsets[i + 1] - rows.offsets[i];
      std::copy_n(rows.x + rows.offsets[i] * out_, count * out_, out + written_[i] * out_);
      written_[i] += count;
    }
  }
  if (pooled_) say({slot, n, ending, threads}, out);
}

// The rows of a block, as the first node reads them.
template <class T>
LiveRows<T> Streams<T>::first(const Index* offsets, Index n, Index begin, bool all, const T* x,
                              const std::int32_t* ids) {
  if (all) return {x, ids, nullptr, block_.data()};
  const Index rows = block_[n];
  T* const to = ids ? nullptr : input_.template get<T>(rows * width_);
  ids_.resize(ids ? rows : 0);
  for (Index i = 0; i < n; ++i) {
    const Index from = offsets[i] + begin, count = block_[i + 1] - block_[i];
    if (ids) std::copy_n(ids + from, count, ids_.data() + block_[i]);
    if (!ids) std::copy_n(x + from * width_, count * width_, to + block_[i] * width_);
  }
  return {to, ids ? ids_.data() : nullptr, nullptr, block_.data()};
}

// Takes rows through the nodes, up to and into the pools where there are any.
template <class T>
void Streams<T>::walk(const LiveTurn& turn, const LiveRows<T>& rows) {
  flows_[0] = rows;
  received_[0].resize(turn.n);
  for (Index i = 0; i < turn.n; ++i) received_[0][i] = steps_[turn.slot[i]];
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].passed()) pass(turn, i);
  }
}

template <class T>
void Streams<T>::pass(const LiveTurn& turn, std::size_t index) {
  const std::vector<std::size_t>& reads = reads_[index];
  read_.clear();
  for (const std::size_t flow : reads) read_.push_back(flows_[flow]);
  received_[index + 1] = received_[reads.front()];
  LiveNode<T>* const node = nodes_[index].node.get();
  flows_[index + 1] = node ? node->pass(turn, read_.front(), received_[index + 1]) : read_.front();
}

// Says what a pooled network would say if its sequences ended here. Where rows still wait for steps to come, copies of
// the sequences end.
template <class T>
void Streams<T>::say(const LiveTurn& turn, T* out) {
  const Index* slot = turn.slot;
  if (lookahead_ > 0 && !turn.ending) {
    spare_.resize(turn.n);
    std::fill(block_.begin(), block_.end(), 0);
    for (Index i = 0; i < turn.n; ++i) copy(slot[i], spare_[i] = slot[i] + capacity_);
    slot = spare_.data();
    walk({slot, turn.n, true, turn.threads}, {nullptr, nullptr, nullptr, block_.data()});
  }
  std::iota(block_.begin(), block_.end(), Index(0));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    LivePool<T>* const pool = nodes_[i].gives.pool;
    pooled_rows_.resize(pool ? turn.n : 0);
    for (Index k = 0; pool && k < turn.n; ++k) pooled_rows_[k] = due(reads_[i].front(), steps_[slot[k]], true);
    if (pool) flows_[i + 1] = {pool->say(slot, turn.n, pooled_rows_.data()), nullptr, nullptr, block_.data()};
    if (nodes_[i].gives.above) pass(turn, i);
  }
  std::copy_n(flows_.back().x, turn.n * out_, out);
}

template <class T>
void Streams<T>::open(Index source, const std::vector<Flow<T>>& flows, Index b, int threads) {
  std::vector<const Flow<T>*> behind;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    behind.clear();
    for (std::size_t k = 1; k < reads_[i].size(); ++k) behind.push_back(&flows[reads_[i][k]]);
    if (nodes_[i].node) nodes_[i].node->open(source, behind.data(), b, threads);
  }
}

template <class T>
void Streams<T>::close(Index source) {
  for (const Live& each : nodes_) {
    if (each.node) each.node->close(source);
  }
}

template <class T>
void Streams<T>::start(Index slot, Index source) {
  clear(slot);
  for (const Live& each : nodes_) {
    if (each.node) each.node->start(slot, source);
  }
}

template <class T>
std::vector<const LiveAttention<T>*> Streams<T>::attentions() const {
  std::vector<const LiveAttention<T>*> found;
  for (const Live& each : nodes_) {
    if (const auto* const one = dynamic_cast<const LiveAttention<T>*>(each.node.get())) found.push_back(one);
  }
  return found;
}

template <class T>
void Streams<T>::clear(Index slot) {
  steps_[slot] = 0;
  state_.clear(slot);
}

template <class T>
void Streams<T>::copy(Index from, Index to) {
  steps_[to] = steps_[from];
  state_.copy(from, to);
}

template <class T>
void Streams<T>::write(Index slot, const T* from, Index steps) {
  steps_[slot] = steps;
  state_.write(slot, from);
}

template class Streams<float>;
template class Streams<double>;

}  // namespace tidegate
