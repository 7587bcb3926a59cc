#include "program/program.h"

#include <algorithm>
#include <new>
#include <numeric>

#include "isa/dispatch.h"
#include "machine/denormals.h"
#include "machine/threads.h"

namespace tidegate {
namespace {

constexpr Index kLaneBytes = Index(64) << 20;     // of the gradients of all lanes
constexpr Index kGroupBytes = Index(1) << 20;     // that a group leaves behind
constexpr Index kCachedWeights = Index(2) << 20;  // bytes of one direction of a layer
constexpr Index kLeastGroup = 6;                  // sequences, to use the registers of a kernel
constexpr Index kMostGroup = 24;                  // sequences, so that there are groups for all lanes
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

template <class T>
Program<T>::Program(std::vector<std::unique_ptr<Node<T>>> nodes, Reads reads, Embed<T>* table, std::uint32_t first,
                    Index width, Index output_size)
    : nodes_(std::move(nodes)), reads_(std::move(reads)), table_(table), width_(width), output_size_(output_size) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) branches_ |= reads_[i] != std::vector<std::size_t>{i};
  std::uint32_t number = first;
  std::vector<Index> stride{1};  // of each flow: rows that come in behind one of its own
  for (const auto& node : nodes_) {
    stride.push_back(node->stride() * stride[reads_[stride.size() - 1].front()]);
    node->offset = dense_;
    node->number = number++;
    node->common = &common_;
    dense_ += node->parameters();
    left_behind_ += blocks(node->left_behind(), stride.back());
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
Index Program<T>::rows(Index read, std::size_t flow, Index source, const Image* image) const {
  Extent extent{1, read, source, image ? *image : Image{}};
  count(flow, extent);
  return extent.rows;
}

// What a node joins is alike in that.
template <class T>
void Program<T>::count(std::size_t flow, Extent& extent) const {
  if (flow == 0) return;
  count(reads_[flow - 1].front(), extent);
  nodes_[flow - 1]->count(extent);
}

template <class T>
void Program<T>::pack(const T* table, const T* dense, Use use, const Draw& draw) {
  common_.use = use;
  common_.training = use != Use::kRun;
  common_.draw = draw;
  if (table_) table_->pack(table);
  for (const auto& node : nodes_) {
    if (node.get() != table_) node->pack(dense + node->offset);
  }
}

template <class T>
void Program<T>::borrow(const Program& other) {
  common_.use = other.common_.use;
  common_.training = other.common_.training;
  for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i]->borrow(*other.nodes_[i]);
}

template <class T>
Status Program<T>::find_distinct(const Sequenced<T>& batch, Index& bad_token) {
  if (!table_) return Status::kOk;
  const Index V = table_->vocabulary();
  row_of_token_.resize(batch.N);
  row_of_id_.resize(V, -1);
  for (const std::int32_t id : id_of_row_) row_of_id_[id] = -1;  // of the batch before
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
  Index* const cut = batch.cut ? lane.arena.template get<Index>(count) : nullptr;
  offsets[0] = 0;
  for (Index i = 0; i < count; ++i) {
    const Index b = sequences[i];
    key[i] = static_cast<std::uint32_t>(b);
    if (cut) cut[i] = batch.cut[b];
    offsets[i + 1] = offsets[i] + batch.offsets[b + 1] - batch.offsets[b];
  }
  flow = {};
  flow.B = count;
  flow.N = offsets[count];
  flow.offsets = offsets;
  flow.cut = cut;
  flow.key = key;
  flow.width = width_;
  Image* const images = images_ ? lane.arena.template get<Image>(count) : nullptr;
  for (Index i = 0; images && i < count; ++i) images[i] = images_[sequences[i]];
  flow.images = images;
  std::int32_t* const row_of = table_ ? lane.arena.template get<std::int32_t>(flow.N) : nullptr;
  const Index features = batch.x ? (table_ ? table_->beside() : width_) : 0;
  T* const x = batch.x ? lane.arena.template get<T>(flow.N * features) : nullptr;
  if (table_) flow.beside = x;
  if (!table_) flow.rows = x;
  flow.row_of = row_of;
  Index* const token = lane.arena.template get<Index>(flow.N);
  flow.token = token;
  for (Index i = 0; i < count; ++i) {
    const Index begin = batch.offsets[sequences[i]], rows = offsets[i + 1] - offsets[i];
    std::iota(token + offsets[i], token + offsets[i + 1], begin);
    if (table_) std::copy_n(row_of_token_.data() + begin, rows, row_of + offsets[i]);
    if (x) std::copy_n(batch.x + begin * features, rows * features, x + offsets[i] * features);
  }
}

template <class T>
Flow<T> Program<T>::enter_whole(Lane<T>& lane, const Sequenced<T>& batch) const {
  std::uint32_t* const key = lane.arena.template get<std::uint32_t>(batch.B);
  std::iota(key, key + batch.B, 0u);
  const bool tokens = batch.ids != nullptr;
  Flow<T> flow{};
  flow.B = batch.B;
  flow.N = batch.N;
  flow.width = width_;
  flow.offsets = batch.offsets;
  flow.cut = batch.cut;
  flow.key = key;
  flow.images = images_;
  if (tokens) flow.beside = batch.x;
  if (!tokens) flow.rows = const_cast<T*>(batch.x);  // nobody writes to what it reads
  flow.row_of = tokens ? row_of_token_.data() : nullptr;
  return flow;
}

template <class T>
void Program<T>::each_group(const Sequenced<T>& batch, const Plan& plan, int first, int last, Loss<T>& loss,
                            double* losses) {
  const int lanes = static_cast<int>(plan.groups.size());
  ran_.assign(lanes, 0);
  for (int index = first; index < last; ++index) ran_[index] = !plan.groups[index].empty();
  const auto busy = static_cast<int>(std::count(ran_.begin(), ran_.end(), 1));
  while (static_cast<int>(kept_.size()) < lanes) kept_.push_back(std::make_unique<Arena>());
  common_.lanes = lanes;
  common_.inside = 2 * busy > common_.threads ? 1 : common_.threads;
  for (const auto& node : nodes_) node->begin();
  loss.start(lanes);
  const Index size = dense_ + extras_;
  const auto run_lane = [&](Index index) {
    if (!ran_[index]) return;
    const Arenas::Loan arena(arenas_);
    T* const gradient = lane_gradients_.data() + index * size;
    Lane<T> lane{static_cast<int>(index), plan.tokens[index], *arena, *kept_[index], gradient};
    lane.kept.clear();
    std::fill(gradient, gradient + size, T(0));
    for (const auto& node : nodes_) node->open(lane);
    loss.open(lane);
    Passage passage(nodes_.size());
    for (const auto& group : plan.groups[index]) {
      if (halted()) return;
      lane.arena.clear();
      const std::int32_t* const sequences = plan.order.data() + group.first;
      enter(lane, batch, sequences, group.count, passage.flows[0]);
      there_and_back(lane, passage, loss, sequences, group.count, losses);
    }
    for (const auto& node : nodes_) node->close(lane);
    loss.close(lane);
  };
  if (common_.inside == 1) return parallel(lanes, common_.threads, run_lane);
  for (int index = 0; index < lanes; ++index) run_lane(index);
}

template <class T>
Status Program<T>::run(const Sequenced<T>& batch, Span span, int threads, T* out, Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = span.first == 0 ? find_distinct(batch, bad_token) : Status::kOk;
  if (status != Status::kOk) return status;
  common_.threads = common_.inside = threads;
  common_.lanes = 1;
  const Arenas::Loan arena(arenas_);
  (*arena).clear();
  Rooms rooms;
  Lane<T> lane{0, batch.N, *arena, *arena, nullptr, branches_ ? nullptr : &rooms};
  Passage at(nodes_.size());
  at.flows[span.first] = enter_whole(lane, batch);
  for (std::size_t i = span.first; i < span.last && !halted(); ++i) {
    lane.out = i + 1 == span.last ? out : nullptr;
    nodes_[i]->begin();
    nodes_[i]->run(lane, gather(at, i), at.flows[i + 1]);
  }
  const Flow<T>& last = at.flows[span.last];
  if (last.rows != out && !halted()) std::copy_n(last.rows, last.N * last.width, out);
  for (const auto& node : nodes_) node->rest();
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status Program<T>::show(const Sequenced<T>& batch, int threads, const See& see, Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = find_distinct(batch, bad_token);
  if (status != Status::kOk) return status;
  common_.threads = common_.inside = threads;
  common_.lanes = 1;
  const Arenas::Loan arena(arenas_);
  (*arena).clear();
  Lane<T> lane{0, batch.N, *arena, *arena, nullptr};
  Passage at(nodes_.size());
  at.flows[0] = enter_whole(lane, batch);
  for (std::size_t i = 0; i < nodes_.size() && !halted(); ++i) {
    nodes_[i]->begin();
    nodes_[i]->run(lane, gather(at, i), at.flows[i + 1]);
  }
  if (!halted()) see(at.flows);
  for (const auto& node : nodes_) node->rest();
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status Program<T>::record(const Sequenced<T>& batch, int threads, Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = find_distinct(batch, bad_token);
  if (status != Status::kOk) return status;
  common_.threads = common_.inside = threads;
  common_.lanes = 1;
  recorded_ = std::make_unique<Recorded>(nodes_.size());
  Passage& passage = recorded_->passage;
  passage.flows[0] = enter_whole(recorded_->lane, batch);
  passage.flows[0].wanted = true;
  for (std::size_t i = 0; i < nodes_.size() && !halted(); ++i) {
    nodes_[i]->begin();
    passage.kept[i] = nodes_[i]->run(recorded_->lane, gather(passage, i), passage.flows[i + 1]);
  }
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status Program<T>::back(const T* doutput, int threads, T* dinput) try {
  const FlushDenormals flush;
  common_.threads = common_.inside = threads;
  Passage& passage = recorded_->passage;
  Flow<T>& input = passage.flows[0];
  const Arena::Mark mark = recorded_->arena.mark();
  passage.flows.back().drows = const_cast<T*>(doutput);  // nobody writes to what it reads
  input.wanted = dinput != nullptr;
  go_back(recorded_->lane, passage, nodes_.size());
  if (dinput && !halted()) std::copy_n(input.drows, input.N * input.width, dinput);
  recorded_->arena.rewind(mark);
  return Status::kOk;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
Status Program<T>::gradient(const Sequenced<T>& batch, Loss<T>& loss, int threads, T* gradient, double* losses,
                            Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = run_lanes(batch, loss, 0, kMostLanes, threads, losses, bad_token);
  if (status == Status::kOk && !halted()) add_lanes(gradient);
  return status;
} catch (const std::bad_alloc&) {
  return Status::kOutOfMemory;
}

template <class T>
int Program<T>::deal(const Sequenced<T>& batch, std::int32_t* lane_of) const {
  const Plan plan = this->plan(batch);
  const int lanes = static_cast<int>(plan.groups.size());
  for (int lane = 0; lane < lanes; ++lane) {
    for (const auto& group : plan.groups[lane]) {
      for (Index i = group.first; i < group.first + group.count; ++i) lane_of[plan.order[i]] = lane;
    }
  }
  return lanes;
}

template <class T>
Status Program<T>::run_lanes(const Sequenced<T>& batch, Loss<T>& loss, int first, int last, int threads, double* losses,
                             Index& bad_token) try {
  const FlushDenormals flush;
  const Status status = find_distinct(batch, bad_token);
  if (status != Status::kOk) return status;
  const Plan plan = this->plan(batch);
  const int lanes = static_cast<int>(plan.groups.size());
  common_.threads = threads;
  lane_gradients_.resize(lanes * (dense_ + extras_));
  last = std::min(last, lanes);
  for (int lane = first; lane < last; ++lane) {
    for (const auto& group : plan.groups[lane]) {
      for (Index i = group.first; i < group.first + group.count; ++i) losses[plan.order[i]] = 0;
    }
  }
  each_group(batch, plan, first, last, loss, losses);
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
  for (std::size_t i = 0; i < end; ++i) at.kept[i] = nodes_[i]->run(lane, gather(at, i), at.flows[i + 1]);
  if (parted) {
    end_in_parts(lane, at, loss, sequences, count, losses);
  } else {
    loss.lose(lane, at.flows[end], sequences, count, 0, losses);
  }
  go_back(lane, at, end);
}

// Puts the flows that a node reads one behind the other; their gradients are not found yet.
template <class T>
Flow<T>& Program<T>::gather(Passage& at, std::size_t index) const {
  at.read.clear();
  for (const std::size_t flow : reads_[index]) {
    at.read.push_back(at.flows[flow]);
    at.read.back().drows = nullptr;
  }
  return at.read.front();
}

// The gradient of what several nodes read is the sum of those that they find, the last node's first.
template <class T>
void Program<T>::go_back(Lane<T>& lane, Passage& at, std::size_t end) {
  for (std::size_t i = 0; i < end; ++i) at.flows[i].drows = nullptr;
  for (std::size_t i = end; i-- > 0 && !halted();) {
    if (!at.flows[i + 1].drows) continue;  // nobody asks what it makes of the input
    nodes_[i]->back(lane, gather(at, i), at.flows[i + 1], at.kept[i]);
    for (std::size_t k = 0; k < reads_[i].size(); ++k) {
      const T* const found = at.read[k].drows;
      Flow<T>& flow = at.flows[reads_[i][k]];
      if (!flow.drows || !found) {
        flow.drows = found ? at.read[k].drows : flow.drows;
        continue;
      }
      T* const sum = lane.arena.template get<T>(flow.N * flow.width);
      for (Index j = 0; j < flow.N * flow.width; ++j) sum[j] = flow.drows[j] + found[j];
      flow.drows = sum;
    }
  }
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

template class Program<float>;
template class Program<double>;

}  // namespace tidegate
