#include "nodes/attend.h"

#include <numeric>

namespace tidegate {
namespace {

constexpr Index kQueries = 64;  // rows that attend at a time where what they attend to is not kept

}  // namespace

template <class T>
struct Attend<T>::Run {
  const T *x, *keys;  // [queries, K], [rows, K]
  T* weights;         // or null: not kept
  Index* begin;       // [B + 1]
};

template <class T>
Attend<T>::Attend(Score score, Index query, Index memory, Index size)
    : attention_{score, score == Score::kAdditive ? size : query, memory, nullptr, nullptr},
      queries_(query, size),
      keys_(memory, attention_.K) {
  of_keys_ = additive() ? size * query : 0;
  parameters_ = of_keys_ + (score == Score::kDot ? 0 : attention_.K * memory);
  if (!additive()) return;
  bias_ = parameters_;
  v_ = bias_ + size;
  parameters_ = v_ + size;
}

template <class T>
void Attend<T>::pack(const T* parameters) {
  const bool back = this->common->training;
  if (attention_.score != Score::kDot) keys_.pack(parameters + of_keys_, nullptr, back);
  if (!additive()) return;
  queries_.pack(parameters, parameters + bias_, back);
  packed_.clear();
  T* const v = packed_.template get<T>(attention_.K);
  T* const v_in = packed_.template get<T>(attention_.K * padded<T>(1));
  std::copy_n(parameters + v_, attention_.K, v);
  pack_columns(v, attention_.K, Index(1), Index(1), attention_.K, v_in);
  attention_.v = v;
  attention_.v_in = v_in;
}

template <class T>
void Attend<T>::borrow(const Node<T>& other) {
  const auto& lender = static_cast<const Attend&>(other);
  attention_ = lender.attention_;
  queries_.borrow(lender.queries_);
  keys_.borrow(lender.keys_);
}

template <class T>
void* Attend<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  const Flow<T>& memory = (&read)[1];
  const int threads = this->common->inside;
  const Index B = read.B, K = attention_.K, M = attention_.M;
  Arena& arena = lane.arena;
  gave = read;
  gave.ends = nullptr;
  gave.width = M;
  gave.wanted = this->common->training;
  gave.rows = lane.give(read.N * M);
  Run& run = *arena.template structs<Run>(1);
  run.begin = arena.template get<Index>(B + 1);
  run.begin[0] = 0;
  const auto queries = [&](Index b) { return read.offsets[b + 1] - read.offsets[b]; };
  const auto rows = [&](Index b) { return memory.offsets[b + 1] - memory.offsets[b]; };
  for (Index b = 0; b < B; ++b) run.begin[b + 1] = run.begin[b] + queries(b) * rows(b);
  if (run.begin[B] == 0) {  // nobody attends to anything
    std::fill_n(gave.rows, read.N * M, T(0));
    if (!this->common->training) return &run;
  }
  run.x = read.rows;
  run.keys = memory.rows;
  if (additive()) {
    T* const x = arena.template get<T>(read.N * K);
    queries_.run(read.rows, read.N, kIdentity, x, threads);
    run.x = x;
  }
  if (attention_.score != Score::kDot) {
    T* const keys = arena.template get<T>(memory.N * K);
    keys_.run(memory.rows, memory.N, kIdentity, keys, threads);
    run.keys = keys;
  }
  run.weights = this->common->training ? arena.template get<T>(run.begin[B]) : nullptr;
  parallel(B, worthwhile(run.begin[B] * (K + M), threads), [&](Index b) {
    const Index count = rows(b), packed = attended_numbers(attention_, count), combined = additive() ? count * K : 0;
    T* const room = scratch<T>(packed + combined + std::min(kQueries, queries(b)) * count);
    const Index first = memory.offsets[b];
    const Attended<T> of = pack_attended(attention_, run.keys + first * K, memory.rows + first * M, count, room);
    for (Index t = 0; t < queries(b) && !halted(); t += kQueries) {
      const Index some = std::min(kQueries, queries(b) - t), row = read.offsets[b] + t;
      T* const weights = run.weights ? run.weights + run.begin[b] + t * count : room + packed + combined;
      weigh(attention_, of, run.x + row * K, nullptr, some, weights, room + packed);
      average(attention_, of, weights, some, gave.rows + row * M, nullptr);
    }
  });
  return &run;
}

template <class T>
void Attend<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  const Run& run = *static_cast<const Run*>(kept);
  Flow<T>& memory = (&read)[1];
  const int threads = this->common->inside;
  const Index B = read.B, K = attention_.K, M = attention_.M;
  Arena& arena = lane.arena;
  T* const dx = arena.template get<T>(read.N * K);
  T* const dkeys = arena.template get<T>(memory.N * K);
  T* const dmemory = arena.template get<T>(memory.N * M);
  T* const dv = additive() ? arena.template get<T>(B * K) : nullptr;
  parallel(B, worthwhile(2 * run.begin[B] * (K + M), threads), [&](Index b) {
    const Index at = read.offsets[b], first = memory.offsets[b];
    AttentionBack<T> p{};
    p.queries = read.offsets[b + 1] - at;
    p.rows = memory.offsets[b + 1] - first;
    p.x = run.x + at * K;
    p.keys = run.keys + first * K;
    p.memory = memory.rows + first * M;
    p.weights = run.weights + run.begin[b];
    p.dy = gave.drows + at * M;
    p.dx = dx + at * K;
    p.dkeys = dkeys + first * K;
    p.dmemory = dmemory + first * M;
    p.dv = dv ? dv + b * K : nullptr;
    if (!halted()) attend_back(attention_, p, scratch<T>(back_numbers(attention_, p.queries, p.rows)));
  });
  read.drows = dx;
  memory.drows = dmemory;
  if (attention_.score == Score::kDot) {
    for (Index i = 0; i < memory.N * M; ++i) dmemory[i] += dkeys[i];
    return;
  }
  keys_.back(dkeys, memory.N, dmemory, threads, true);
  T* const gradient = lane.gradient ? lane.gradient + this->offset : nullptr;
  if (gradient) keys_.add(dkeys, memory.rows, memory.N, gradient + of_keys_, nullptr, threads);
  if (!additive()) return;
  read.drows = arena.template get<T>(read.N * read.width);
  queries_.back(dx, read.N, read.drows, threads);
  if (!gradient) return;
  queries_.add(dx, read.rows, read.N, gradient, gradient + bias_, threads);
  for (Index i = 0; i < B * K; ++i) gradient[v_ + i % K] += dv[i];
}

template <class T>
typename Attend<T>::Seen Attend<T>::seen(const void* kept) const {
  const Run& run = *static_cast<const Run*>(kept);
  return {run.weights, run.begin};
}

namespace {

template <class T>
class Attending final : public LiveAttention<T> {
 public:
  Attending(const Attention<T>& attention, const Product<T>& queries, const Product<T>& keys, LivePlan<T>& plan)
      : attention_(attention), queries_(queries), keys_(keys), source_(*plan.source) {}

  void open(Index source, const Flow<T>* const* read, Index b, int threads) override {
    const Flow<T>& memory = *read[0];
    const Index first = memory.offsets[b], rows = memory.offsets[b + 1] - first;
    const T *const from = memory.rows + first * attention_.M, *keys = from;
    if (attention_.score != Score::kDot) {
      T* const made = keys_room_.template get<T>(rows * attention_.K);
      keys_.run(from, rows, kIdentity, made, threads);
      keys = made;
    }
    if (source >= static_cast<Index>(held_.size())) held_.resize(source + 1);
    held_[source].numbers.resize(attended_numbers(attention_, rows));
    held_[source].of = pack_attended(attention_, keys, from, rows, held_[source].numbers.data());
  }
  void close(Index source) override {
    if (source < static_cast<Index>(held_.size())) held_[source] = {};
  }

  LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>&) override {
    const Index rows = in.offsets[turn.n], M = attention_.M;
    const T* x = in.x;
    if (attention_.score == Score::kAdditive) {
      T* const made = x_.template get<T>(rows * attention_.K);
      queries_.run(in.x, rows, kIdentity, made, turn.threads);
      x = made;
    }
    arrange(turn, in);
    T* const y = out_.template get<T>(rows * M);
    parallel(static_cast<Index>(groups_.size()), worthwhile(begin_[rows] * (attention_.K + M), turn.threads),
             [&](Index group) { attend(groups_[group], x, y); });
    return {y, nullptr, nullptr, in.offsets};
  }

  typename LiveAttention<T>::Weights weights(Index row) const override { return of_row_[row]; }

 private:
  struct Held {
    std::vector<T> numbers;
    Attended<T> of{};
  };
  struct Group {
    Index source, first, last;  // among the rows in their order
  };

  // Puts rows that attend to the same source together.
  void arrange(const LiveTurn& turn, const LiveRows<T>& in) {
    const Index rows = in.offsets[turn.n];
    std::vector<Index> source(rows);
    for (Index i = 0; i < turn.n; ++i) {
      std::fill(source.begin() + in.offsets[i], source.begin() + in.offsets[i + 1], source_[turn.slot[i]]);
    }
    order_.resize(rows);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::int32_t a, std::int32_t b) { return source[a] < source[b]; });
    groups_.clear();
    begin_.assign(rows + 1, 0);
    of_row_.resize(rows);
    for (Index i = 0; i < rows; ++i) {
      const Index of = source[order_[i]];
      if (groups_.empty() || groups_.back().source != of) groups_.push_back({of, i, i});
      groups_.back().last = i + 1;
      begin_[i + 1] = begin_[i] + held_[of].of.rows;
    }
    weights_.resize(begin_[rows]);
    for (Index i = 0; i < rows; ++i) of_row_[order_[i]] = {weights_.data() + begin_[i], begin_[i + 1] - begin_[i]};
  }

  void attend(const Group& group, const T* x, T* y) {
    const Attended<T>& of = held_[group.source].of;
    const Index count = group.last - group.first;
    T* const weights = weights_.data() + begin_[group.first];
    weigh(attention_, of, x, order_.data() + group.first, count, weights,
          scratch<T>(attention_.score == Score::kAdditive ? of.rows * attention_.K : 0));
    average(attention_, of, weights, count, y, order_.data() + group.first);
  }

  const Attention<T> attention_;
  const Product<T>&queries_, &keys_;
  const std::vector<Index>& source_;  // of each slot
  std::vector<Held> held_;            // of each source
  std::vector<std::int32_t> order_;
  std::vector<Group> groups_;
  std::vector<Index> begin_;
  std::vector<T> weights_;
  std::vector<typename LiveAttention<T>::Weights> of_row_;
  Buffer keys_room_, x_, out_;
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Attend<T>::live(LivePlan<T>& plan) {
  if (!plan.source || !plan.read[1].aside)
    throw std::invalid_argument("the network attends to rows that are not known yet");
  plan.gave.features = attention_.M;
  return std::make_unique<Attending<T>>(attention_, queries_, keys_, plan);
}

template class Attend<float>;
template class Attend<double>;

}  // namespace tidegate
