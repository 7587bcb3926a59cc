// Packs the weights of a network that sequences will stream through.
#include "stream/network.h"
#include "isa/dispatch.h"
#include "layer/batch.h"
#include "layer/pack.h"

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
void pack_direction(const StreamLayer<T>& layer, const Direction<T>& from, StreamDirection<T>& to) {
  const Index C = layer.in, H = layer.H, GH = layer.gates(), wide = padded<T>(GH);
  const Index recurrent = H * kTraits[layer.cell].gates * padded<T>(H);
  Parts<T> parts(to.memory.template get<T>(C * wide + recurrent + wide + padded<T>(H)));
  T *const w_ih = parts.take(C * wide), *const w_hh = parts.take(recurrent);
  T *const bias = parts.take(wide), *const apart = parts.take(padded<T>(H));
  pack_columns(from.w_ih, C, GH, Index(1), C, w_ih);
  pack_recurrent(layer.cell, from.w_hh, H, w_hh);
  add_biases(layer.cell, from, H, bias);
  copy_or_zero(bias_apart(layer.cell, from, H), H, apart);
  to.reverse = from.reverse;
  to.w_ih = w_ih;
  to.w_hh = w_hh;
  to.bias = bias;
  to.bias_apart = apart;
  to.table = nullptr;
}

template <class T>
void keep_table(const StreamLayer<T>& layer, const T* table, Index V, StreamDirection<T>& to) {
  const Kernels<T>& k = kernels<T>();
  const Index GH = layer.gates();
  T* const product = to.table_memory.template get<T>(V * GH);
  Linear<T> run{};
  run.x = table;
  run.x_stride = run.K = layer.in;
  run.w = to.w_ih;
  run.columns = run.y_stride = GH;
  run.bias = to.bias;
  run.y = product;
  parallel(blocks(V, kLinearRows), 1,
           [&](Index task) { k.linear(run, task * kLinearRows, std::min(V, (task + 1) * kLinearRows)); });
  to.table = product;
}

}  // namespace

template <class T>
StreamNetwork<T>::StreamNetwork(Index width, const T* table, Index V)
    : width_(width), V_(V), out_(width), table_(table) {}

template <class T>
template <class Stage>
Stage& StreamNetwork<T>::add(Index out) {
  Stage& stage = std::get<Stage>(stages_.emplace_back(std::in_place_type<Stage>));
  stage.in = out_;
  stage.out = out_ = out;
  return stage;
}

template <class T>
void StreamNetwork<T>::add_matrix(Index columns, const T* w, const T* bias, Activation activation) {
  StreamMatrix<T>& matrix = add<StreamMatrix<T>>(columns);
  const Index wide = padded<T>(columns);
  Parts<T> parts(matrix.memory.template get<T>((matrix.in + 1) * wide));
  T *const packed = parts.take(matrix.in * wide), *const start = parts.take(wide);
  pack_columns(w, matrix.in, columns, Index(1), matrix.in, packed);
  copy_or_zero(bias, columns, start);
  matrix.w = packed;
  matrix.bias = start;
  matrix.activation = activation;
}

template <class T>
void StreamNetwork<T>::add_layer(Cell cell, Index H, const Direction<T>* directions, int count, Merge merge,
                                 Index lookahead) {
  const bool reads_table = V_ > 0 && stages_.empty();
  StreamLayer<T>& layer = add<StreamLayer<T>>(merge == Merge::kConcat ? count * H : H);
  layer.cell = cell;
  layer.H = H;
  layer.directions = count;
  layer.merge = merge;
  for (int d = 0; d < count; ++d) {
    pack_direction(layer, directions[d], layer.direction[d]);
    if (reads_table && V_ * layer.gates() <= kMostKept) keep_table(layer, table_, V_, layer.direction[d]);
  }
  layer.lookahead = layer.backward() ? lookahead : 0;
  lookahead_ += layer.lookahead;
}

template <class T>
void StreamNetwork<T>::add_pool(const PoolMode* modes, int count) {
  const StreamLayer<T>* const layer = stages_.empty() ? nullptr : std::get_if<StreamLayer<T>>(&stages_.back());
  StreamPool<T>& pool = add<StreamPool<T>>(out_ * count);
  pool.modes = count;
  std::copy_n(modes, count, pool.mode);
  pool.layer = layer;
  pooled_ = true;
}

template <class T>
bool StreamNetwork<T>::kept() const {
  const StreamLayer<T>* const layer = stages_.empty() ? nullptr : std::get_if<StreamLayer<T>>(&stages_[0]);
  return layer && layer->direction[0].table;
}

template class StreamNetwork<float>;
template class StreamNetwork<double>;

}  // namespace tidegate
