// Layers of a cell, each in one or two directions, over the sequences of a group.
#pragma once

#include <vector>

#include "nodes/embed.h"

namespace tidegate {

enum class Merge { kConcat, kSum, kMul, kAve };

struct RecurrentOptions {
  Cell cell;
  Index input_size, hidden_size;
  int layers;
  bool bidirectional;
  bool reverse;
  bool bias;
  Merge merge;               // of the last layer; between layers both directions stand side by side
  double dropout;            // between layers
  double recurrent_dropout;  // of the state where it enters the recurrent matrix, the same at all steps of a sequence
  double weight_dropout;     // of the entries of that matrix, the same in the whole batch
};

template <class T>
class Recurrent final : public Node<T> {
 public:
  // `table`: where the node before is an embedding that leaves its rows unread; else null.
  Recurrent(const RecurrentOptions& options, Embed<T>* table);

  const RecurrentOptions& options() const { return o_; }
  int directions() const { return o_.bidirectional ? 2 : 1; }
  Index output_size() const { return o_.hidden_size * (merges() ? 1 : directions()); }

  Index parameters() const override;
  Index left_behind() const override;
  void pack(const T* parameters) override;
  void begin() override;
  void open(Lane<T>& lane) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void close(Lane<T>& lane) override;
  void finish(T* gradient, T* table, const T* extras) override;

  // The same with sequences that begin in `starts`, whose gradient `back` then finds; null: zeros.
  void* run_from(Lane<T>& lane, const Flow<T>& read, Ends<T>* starts, Flow<T>& gave);

  // States that the sequences of a batch begin with, and where those are left that they end in: each of all layers and
  // directions, [layers * directions, sequences of the batch, H], or null.
  struct Carried {
    const T *h, *c;
    T *hn, *cn;
  };
  void carry(const Carried& carried) { carried_ = carried; }

  bool merges() const { return o_.bidirectional && o_.merge != Merge::kConcat; }

  // What the gates and the gradients of a batch look like, by layer and direction; for whoever watches the training.
  struct Health {
    std::vector<std::int64_t> saturated;     // [units * gates] how many of the values hardly move
    std::int64_t values = 0;                 // of each gate
    std::vector<std::vector<double>> reach;  // [units] gradient at the far end of a sequence over that at its steps
  };
  // Where a sigmoid (below `low`, above `high`) and a tanh (beyond `steep`, either way) hardly move.
  struct Flat {
    T low, high, steep;
  };
  // Looks at every batch from now on, or at none (null).
  void watch(const Flat* flat);
  Health health() const;

  // Puts the two directions of [rows, 2 * hidden] together as the node does, and takes a gradient apart again.
  void merge(const T* h, Index rows, T* merged) const;
  void unmerge(const T* h, const T* dmerged, Index rows, T* dh) const;

 private:
  // One direction of one layer: where its parameters begin, and its weights as the kernels read them.
  struct Unit {
    Index w_ih, w_hh, b_ih, b_hh;  // from the first parameter of the node on; b_ih < 0: none
    Index inputs;
    bool reverse;
    T *forward_ih, *forward_hh, *backward_ih, *backward_hh, *bias;
    const T* bias_apart;
    T* mask;       // [G*H, H] of weight_dropout, or null
    T* projected;  // [distinct, G*H] of the table's rows, or null
  };
  struct LayerRun;
  struct Run;

  void pack(Unit& unit, const T* parameters);
  void project(Unit& unit);
  void walk_forward(Lane<T>& lane, Run& run, int index, const Flow<T>& flow);
  void walk_backward(Lane<T>& lane, Run& run, int index, const Ends<T>& ends);
  void add_weights(Lane<T>& lane, Run& run, int index);
  void find_before(const Run& run, const LayerRun& layer, int d, const T* h0, const T* zero, const T** before,
                   std::int32_t* sequence) const;
  void find_input(const Run& run, int index, T* dx) const;
  void sum_by_row(Lane<T>& lane, const Run& run, const Flow<T>& read);
  void count_saturated(const Lane<T>& lane, const Run& run, int index, int d);
  void find_reach(const Lane<T>& lane, const Run& run, int at, const CellBackward<T>& walk);
  void drop(const Flow<T>& read, int layer, const T* from, T* to) const;

  const RecurrentOptions o_;
  const CellTraits& traits_;
  const Index GH_;
  Embed<T>* const table_;
  Arena packed_;
  Arena arena_;  // of the running batch
  Carried carried_{};
  bool watched_ = false;
  Flat flat_{};
  std::vector<Health> health_;  // [lanes]
  std::vector<Unit> units_;
  std::vector<T*> sums_;  // [lanes * directions] of [touched rows of the lane, G*H]: gate gradients by row of the table
};

}  // namespace tidegate
