#include "program/program.h"

#include <algorithm>
#include <new>
#include <numeric>

#include "isa/dispatch.h"
#include "machine/denormals.h"
#include "machine/threads.h"
#include "program/sum.h"

namespace tidegate {
namespace {

constexpr int kMostLanes = 16;
constexpr Index kLaneBytes = Index(64) << 20;     // of the gradients of all lanes
constexpr Index kGroupBytes = Index(1) << 20;     // that a group leaves behind
constexpr Index kCachedWeights = Index(2) << 20;  // bytes of one direction of a layer
constexpr Index kLeastGroup = 6;                  // sequences, to use the registers of a kernel
constexpr Index kMostGroup = 24;                  // sequences, so that there are groups for all lanes
constexpr Index kSummed = 4096;                   // numbers of a gradient that a task adds up
constexpr Index kPart = 4 * kOuterBlock;          // rows that are lost at a time: the sums are those of all at once

}  // namespace

// Which sequences run together, and in which lane.
template <class T>
struct Program<T>::Plan {
  struct Group {
    Index first, count;  // among the sorted sequences
  };
  std::vector<std::int32_t> order;         // [B] longest first
  std::vector<std::vector<Group>> groups;  // [lanes]
  std::vector<Index> tokens;               // [lanes]
};

// What passes between the nodes for one group, and what each keeps for the way back.
template <class T>
struct Program<T>::Passage {
  std::vector<Flow<T>> flows;
  std::vector<void*> kept;
  explicit Passage(std::size_t nodes) : flows(nodes + 1), kept(nodes) {}
};

template <class T>
Program<T>::Program(std::vector<std::unique_ptr<Node<T>>> nodes, Embed<T>* table, std::uint32_t first, Index width,
                    Index output_size)
    : nodes_(std::move(nodes)), table_(table), width_(width), output_size_(output_size) {
  std::uint32_t number = first;
  for (const auto& node : nodes_) {
    node->offset = dense_;
    node->number = number++;
    node->common = &common_;
    dense_ += node->parameters();
    left_behind_ += node->left_behind();
    stepped_ = std::max(stepped_, node->stepped());
    extras_ += node->extras();
  }
  Index at = dense_;
  for (const auto& node : nodes_) {
    node->extras_offset = at;
    at += node->extras();
  }
}

template <class T>
Index Program<T>::rows(Index read) const {
  Index sequences = 1;
  for (const auto& node : nodes_) node->count(sequences, read);
  return read;
}

template <class T>
void Program<T>::pack(const T* parameters, bool training, const Draw& draw) {
  common_.training = training;
  common_.draw = draw;
  if (table_) table_->pack(parameters);
  for (const auto& node : nodes_) {
    if (node.get() != table_) node->pack(parameters + table_size() + node->offset);
  }
}

template <class T>
Status Program<T>::find_distinct(const Sequenced<T>& batch, Index& bad_token) {
  if (!table_) return Status::kOk;
  const Index V = table_->vocabulary();
  row_of_token_.resize(batch.N);
  row_of_id_.assign(V, -1);
  id_of_row_.clear();
  for (Index n = 0; n < batch.N; ++n) {
    const std::int32_t id = batch.ids[n];
    if (id < 0 || id >= V) {
      bad_token = n;
      return Status::kBadToken;
    }
    if (row_of_id_[id] < 0) {
      row_of_id_[id] = static_cast<std::int32_t>(id_of_row_.size());
      id_of_row_.push_back(id);
    }
    row_of_token_[n] = row_of_id_[id];
  }
  common_.distinct = static_cast<Index>(id_of_row_.size());
  common_.id = id_of_row_.data();
  return Status::kOk;
}

// Deals the sequences to lanes by their lengths, and by the sizes of the network, alone.
template <class T>
typename Program<T>::Plan Program<T>::plan(const Sequenced<T>& batch) const {
  Plan plan;
  plan.order.resize(batch.B);
  std::iota(plan.order.begin(), plan.order.end(), 0);
  const auto length = [&](std::int32_t b) { return batch.offsets[b + 1] - batch.offsets[b]; };
  std::stable_sort(plan.order.begin(), plan.order.end(),
                   [&](std::int32_t a, std::int32_t b) { return length(a) > length(b); });
  int lanes = kMostLanes;
  while (lanes > 1 && lanes * (dense_ + extras_) * Index(sizeof(T)) > kLaneBytes) lanes /= 2;
  plan.groups.resize(lanes);
  plan.tokens.resize(lanes);
  // Weights that no cache keeps are to be read for more sequences at a time.
  const Index least = stepped_ * Index(sizeof(T)) > kCachedWeights ? 2 * kLeastGroup : kLeastGroup;
  const Index most = std::clamp(blocks(blocks(batch.B, lanes), least) * least, least, kMostGroup);
  for (Index first = 0; first < batch.B;) {
    const Index bytes = std::max<Index>(1, length(plan.order[first])) * left_behind_ * Index(sizeof(T));
    const Index fitting = kGroupBytes / std::max<Index>(1, bytes) / least * least;
    const Index count = std::min(batch.B - first, std::clamp(fitting, least, most));
    const auto lane = std::min_element(plan.tokens.begin(), plan.tokens.end()) - plan.tokens.begin();
    plan.groups[lane].push_back({first, count});
    for (Index i = first; i < first + count; ++i) plan.tokens[lane] += length(plan.order[i]) + 1;
    first += count;
  }
  return plan;
}

template <class T>
void Program<T>::enter(Lane<T>& lane, const Sequenced<T>& batch, const std::int32_t* sequences, Index count,
                       Flow<T>& flow) const {
  Index* const offsets = lane.arena.template get<Index>(count + 1);
  std::uint32_t* const key = lane.arena.template get<std::uint32_t>(count);
  offsets[0] = 0;
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i];
    key[i] = static_cast<std::uint32_t>(b);
    offsets[i + 1] = offsets[i] + batch.offsets[b + 1] - batch.offsets[b];
  }
  flow = {};
  flow.B = count;
  flow.N = offsets[count];
  flow.offsets = offsets;
  flow.key = key;
  flow.width = width_;
  std::int32_t* const row_of = table_ ? lane.arena.template get<std::int32_t>(flow.N) : nullptr;
  flow.rows = table_ ? nullptr : lane.arena.template get<T>(flow.N * width_);
  flow.row_of = row_of;
  Index* const token = lane.arena.template get<Index>(flow.N);
  flow.token = token;
  for (Index i = 0; i < count; ++i) {
    const Index begin = batch.offsets[sequences[i]], rows = offsets[i + 1] - offsets[i];
    std::iota(token + offsets[i], token + offsets[i + 1], begin);
    if (table_) {
      std::copy_n(row_of_token_.data() + begin, rows, row_of + offsets[i]);
    } else {
      std::copy_n(batch.x + begin * width_, rows * width_, flow.rows + offsets[i] * width_);
    }
  }
}

template <class T>
template <class F>
void Program<T>::each_group(const Sequenced<T>& batch, const Plan& plan, Loss<T>* loss, const F& run) {
  const int lanes = static_cast<int>(plan.groups.size());
  const auto busy = static_cast<int>(lanes - std::count(plan.tokens.begin(), plan.tokens.end(), 0));
  while (static_cast<int>(kept_.size()) < lanes) kept_.push_back(std::make_unique<Arena>());
  common_.lanes = lanes;
  common_.inside = 2 * busy > common_.threads ? 1 : common_.threads;
  common_.sequences = batch.B;
  for (const auto& node : nodes_) node->begin();
  if (loss) loss->start(lanes);
  const Index size = dense_ + extras_;
  const auto run_lane = [&](Index index) {
    if (plan.groups[index].empty()) return;
    const Arenas::Loan arena(arenas_);
    T* const gradient = loss ? lane_gradients_.data() + index * size : nullptr;
    Lane<T> lane{static_cast<int>(index), plan.tokens[index], *arena, *kept_[index], gradient};
    lane.kept.clear();
    if (loss) std::fill(gradient, gradient + size, T(0));
    for (const auto& node : nodes_) node->open(lane);
    if (loss) loss->open(lane);
    Passage passage(nodes_.size());
    for (const auto& group : plan.groups[index]) {
      if (halted()) return;
      lane.arena.clear();
      const std::int32_t* const sequences = plan.order.data() + group.first;
      enter(lane, batch, sequences, group.count, passage.flows[0]);
      run(lane, passage, sequences, group.count);
    }
    if (!loss) return;
    for (const auto& node : nodes_) node->close(lane);
    loss->close(lane);
  };
  if (common_.inside == 1) return parallel(lanes, common_.threads, run_lane);
  for (int index = 0; index < lanes; ++index) run_lane(index);
}

template <class T>
Status Program<T>::run(const Sequenced<T>& batch, int threads, T* out, Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = find_distinct(batch, bad_token);
  if (status != Status::kOk) return status;
  const Plan plan = this->plan(batch);
  common_.threads = threads;
  std::vector<Index> begin(batch.B + 1);
  for (Index b = 0; b < batch.B; ++b) begin[b + 1] = begin[b] + rows(batch.offsets[b + 1] - batch.offsets[b]);
  each_group(batch, plan, nullptr, [&](Lane<T>& lane, Passage& at, const std::int32_t* sequences, Index count) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i]->run(lane, at.flows[i], at.flows[i + 1]);
    const T* from = at.flows.back().rows;
    for (Index i = 0; i < count; ++i) {
      const Index b = sequences[i], numbers = (begin[b + 1] - begin[b]) * output_size_;
      std::copy_n(from, numbers, out + begin[b] * output_size_);
      from += numbers;
    }
  });
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status Program<T>::gradient(const Sequenced<T>& batch, Loss<T>& loss, int threads, T* gradient, double* losses,
                            Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = find_distinct(batch, bad_token);
  if (status != Status::kOk) return status;
  const Plan plan = this->plan(batch);
  common_.threads = threads;
  lane_gradients_.resize(plan.groups.size() * (dense_ + extras_));
  std::fill(losses, losses + batch.B, 0.0);
  each_group(batch, plan, &loss, [&](Lane<T>& lane, Passage& passage, const std::int32_t* sequences, Index count) {
    there_and_back(lane, passage, loss, sequences, count, losses);
  });
  if (!halted()) add_lanes(plan, gradient);
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
void Program<T>::there_and_back(Lane<T>& lane, Passage& at, Loss<T>& loss, const std::int32_t* sequences, Index count,
                                double* losses) {
  std::size_t end = nodes_.size();
  const bool parted = end > 0 && nodes_.back()->by_row() && loss.by_row();
  if (parted) --end;
  for (std::size_t i = 0; i < end; ++i) at.kept[i] = nodes_[i]->run(lane, at.flows[i], at.flows[i + 1]);
  if (parted) {
    end_in_parts(lane, at, loss, sequences, count, losses);
  } else {
    loss.lose(lane, at.flows[end], sequences, count, 0, losses);
  }
  for (std::size_t i = end; i-- > 0;) nodes_[i]->back(lane, at.flows[i], at.flows[i + 1], at.kept[i]);
}

// The last node, the loss and the way back through that node, so many rows at a time that the scores of a large
// vocabulary never are in memory at once.
template <class T>
void Program<T>::end_in_parts(Lane<T>& lane, Passage& at, Loss<T>& loss, const std::int32_t* sequences, Index count,
                              double* losses) {
  Node<T>& last = *nodes_.back();
  Flow<T>& whole = at.flows[nodes_.size() - 1];
  whole.drows = lane.arena.template get<T>(whole.N * whole.width);
  for (Index first = 0; first < whole.N; first += kPart) {
    const Arena::Mark mark = lane.arena.mark();
    Flow<T> part = whole, gave;
    part.N = std::min(kPart, whole.N - first);
    part.rows += first * whole.width;
    void* const kept = last.run(lane, part, gave);
    loss.lose(lane, gave, sequences, count, first, losses);
    last.back(lane, part, gave, kept);
    if (part.wanted) std::copy_n(part.drows, part.N * whole.width, whole.drows + first * whole.width);
    lane.arena.rewind(mark);
  }
}

template <class T>
void Program<T>::add_lanes(const Plan& plan, T* gradient) {
  const Index size = dense_ + extras_;
  T* const dense = gradient + table_size();
  extra_sums_.resize(extras_);
  if (table_) table_->collect(gradient);
  parallel(blocks(size, kSummed), common_.threads, [&](Index task) {
    const Index first = task * kSummed, count = std::min(kSummed, size - first);
    T* parts[kMostLanes];
    for (int lane = 0; lane < common_.lanes; ++lane) {
      parts[lane] = plan.groups[lane].empty() ? nullptr : lane_gradients_.data() + lane * size + first;
    }
    const T* const sum = sum_as_tree(parts, common_.lanes, count);
    for (Index i = 0; i < count; ++i) {
      T& to = first + i < dense_ ? dense[first + i] : extra_sums_[first + i - dense_];
      to = sum ? sum[i] : T(0);
    }
  });
  for (const auto& node : nodes_) {
    node->finish(dense + node->offset, gradient, extra_sums_.data() + (node->extras_offset - dense_));
  }
}

template class Program<float>;
template class Program<double>;

}  // namespace tidegate
