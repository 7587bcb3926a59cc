// Packs the weights of a network that sequences will stream through.
#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"
#include "stream/stream.h"

namespace tidegate {
namespace {

constexpr Index kMostKept = Index(1) << 22;  // numbers of a table that is multiplied by w_ih once and for all

// Hands out parts of one piece of memory.
template <class T>
class Parts {
 public:
  explicit Parts(T* begin) : at_(begin) {}
  T* take(Index count) {
    T* const begin = at_;
    at_ += count;
    return begin;
  }

 private:
  T* at_;
};

template <class T>
void pack_direction(const StreamStage<T>& stage, const Direction<T>& from, StreamDirection<T>& to) {
  const Index C = stage.in, H = stage.H, GH = stage.gates(), wide = padded<T>(GH);
  const Index recurrent = H * kTraits[stage.cell].gates * padded<T>(H);
  Parts<T> parts(to.memory.template get<T>(C * wide + recurrent + wide + padded<T>(H)));
  T *const w_ih = parts.take(C * wide), *const w_hh = parts.take(recurrent);
  T *const bias = parts.take(wide), *const apart = parts.take(padded<T>(H));
  pack_columns(from.w_ih, C, GH, Index(1), C, w_ih);
  pack_recurrent(stage.cell, from.w_hh, H, w_hh);
  add_biases(stage.cell, from, H, bias);
  copy_or_zero(bias_apart(stage.cell, from, H), H, apart);
  to.reverse = from.reverse;
  to.w_ih = w_ih;
  to.w_hh = w_hh;
  to.bias = bias;
  to.bias_apart = apart;
  to.table = nullptr;
}

template <class T>
void keep_table(const StreamStage<T>& stage, const T* table, Index V, StreamDirection<T>& to) {
  const Kernels<T>& k = kernels<T>();
  const Index GH = stage.gates();
  T* const product = to.table_memory.template get<T>(V * GH);
  const Linear<T> run{table, stage.in, nullptr, to.w_ih, stage.in, GH, to.bias, product, GH, nullptr, false, kIdentity};
  parallel(blocks(V, kLinearRows), 1,
           [&](Index task) { k.linear(run, task * kLinearRows, std::min(V, (task + 1) * kLinearRows)); });
  to.table = product;
}

}  // namespace

template <class T>
StreamNetwork<T>::StreamNetwork(Index width, const T* table, Index V) : width_(width), V_(V), table_(table) {}

template <class T>
StreamStage<T>& StreamNetwork<T>::add(typename StreamStage<T>::Kind kind, Index columns) {
  const Index in = out();
  StreamStage<T>& stage = stages_.emplace_back();
  stage.kind = kind;
  stage.in = in;
  stage.out = columns;
  return stage;
}

template <class T>
void StreamNetwork<T>::add_matrix(Index columns, const T* w, const T* bias, Activation activation) {
  StreamStage<T>& stage = add(StreamStage<T>::kMatrix, columns);
  const Index wide = padded<T>(columns);
  Parts<T> parts(stage.memory.template get<T>((stage.in + 1) * wide));
  T *const packed = parts.take(stage.in * wide), *const start = parts.take(wide);
  pack_columns(w, stage.in, columns, Index(1), stage.in, packed);
  copy_or_zero(bias, columns, start);
  stage.w = packed;
  stage.bias = start;
  stage.activation = activation;
}

template <class T>
void StreamNetwork<T>::add_layer(Cell cell, Index H, const Direction<T>* directions, int count, Merge merge,
                                 Index lookahead) {
  const bool reads_table = V_ > 0 && stages_.empty();
  StreamStage<T>& stage = add(StreamStage<T>::kLayer, merge == kConcat ? count * H : H);
  stage.cell = cell;
  stage.H = H;
  stage.directions = count;
  stage.merge = merge;
  for (int d = 0; d < count; ++d) {
    pack_direction(stage, directions[d], stage.direction[d]);
    if (reads_table && V_ * stage.gates() <= kMostKept) keep_table(stage, table_, V_, stage.direction[d]);
  }
  stage.lookahead = stage.backward() ? lookahead : 0;
  lookahead_ += stage.lookahead;
}

template <class T>
void StreamNetwork<T>::add_pool(const PoolMode* modes, int count) {
  StreamStage<T>& stage = add(StreamStage<T>::kPool, out() * count);
  stage.modes = count;
  std::copy_n(modes, count, stage.mode);
  pooled_ = true;
}

template <class T>
bool StreamNetwork<T>::kept() const {
  return !stages_.empty() && stages_[0].kind == StreamStage<T>::kLayer && stages_[0].direction[0].table;
}

template class StreamNetwork<float>;
template class StreamNetwork<double>;

}  // namespace tidegate
