// Layers of a cell, each in one or two directions, over the sequences of a group.
#pragma once

#include <vector>

#include "layer/merge.h"
#include "nodes/embed.h"
#include "nodes/gauge.h"
#include "nodes/unit.h"

namespace tidegate {

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
  bool starts;  // a second flow has a row for each sequence, the states that it begins with: h, then c, of all layers
};

template <class T>
class Recurrent final : public Node<T> {
 public:
  // `table`: where the node before is an embedding that leaves its rows unread; else null.
  Recurrent(const RecurrentOptions& options, Embed<T>* table);

  const RecurrentOptions& options() const { return o_; }
  int directions() const { return o_.bidirectional ? 2 : 1; }
  Index output_size() const { return o_.hidden_size * (merges() ? 1 : directions()); }

  Index parameters() const override { return parameters_; }
  Index left_behind() const override;
  Index stepped() const override { return GH_ * o_.hidden_size; }
  void pack(const T* parameters) override;
  void borrow(const Node<T>& other) override { units_ = static_cast<const Recurrent&>(other).units_; }
  void begin() override;
  void rest() override { arena_.release(); }
  void open(Lane<T>& lane) override;
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  void close(Lane<T>& lane) override;
  void finish(T* gradient, T* table, const T* extras) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

  // The same with sequences that begin in `starts`, whose gradient `back` then finds; null: zeros.
  void* run_from(Lane<T>& lane, const Flow<T>& read, Ends<T>* starts, Flow<T>& gave);

  // States that the sequences of a batch begin with, and where those are left that they end in: each of all layers and
  // directions, [layers * directions, sequences, H], or null.
  struct Carried {
    Index sequences;  // those that the batch has become
    const T *h, *c;
    T *hn, *cn;
  };
  void carry(const Carried& carried) { carried_ = carried; }

  // What somebody who looks wants of the way back: the gradients of every step, [layers * directions], or none; and, of
  // the last layer, that of only one way.
  struct Look {
    std::vector<StepGradients<T>> steps;
    int way = -1;
  };
  void look(Look look) { look_ = std::move(look); }

  // What a layer gave where it was recorded: h [N, directions * H]; gates [N, G*H] and memo [N, H], those of both
  // directions end to end, or null of a cell without gates.
  struct Seen {
    T *h, *gates, *memo;
  };
  Seen seen(const void* kept, int layer) const;

  bool merges() const { return o_.bidirectional && o_.merge != Merge::kConcat; }

  Gauge<T> gauge;

 private:
  struct LayerRun;
  struct Run;
  struct Piece;

  // Directions first .. last - 1.
  struct Ways {
    int first, last;
  };
  Ends<T>* begin_with(Lane<T>& lane, const Flow<T>* read) const;
  void find_starts(Lane<T>& lane, const Run& run, Flow<T>& read) const;
  void arrange(Lane<T>& lane, Run& run);
  void walk_through(const Run& run, int index, const Flow<T>& flow) const;
  void walk_forward(Lane<T>& lane, Run& run, int index, const Flow<T>& flow);
  void walk_backward(Lane<T>& lane, Run& run, int index, const Ends<T>& ends, const Flow<T>& read, T* dx);
  template <class Prepare, class Tile>
  void each_direction(Index B, const Ways& ways, const Prepare& prepare, const Tile& tile) const;
  Ways followed(const Run& run, int index) const;
  T* beside(Lane<T>& lane, T* const* each, int d, Index numbers) const;
  CellForward<T> enter(Lane<T>& lane, const Run& run, LayerRun& layer, int index, int d, const Flow<T>& flow);
  CellBackward<T> turn(Lane<T>& lane, const Run& run, LayerRun& layer, int index, int d, const Ends<T>& ends);
  void add_weights(Lane<T>& lane, const Run& run, const LayerRun& layer, int index, int d);
  void find_before(const Run& run, const LayerRun& layer, int d, const T* h0, const T* zero, const T** before,
                   std::int32_t* sequence) const;
  void find_input(const Run& run, const LayerRun& layer, int index, int d, bool accumulate, T* dx) const;
  const std::int32_t* touch(Lane<T>& lane, const std::int32_t* row_of, Index N);
  void add_by_row(Lane<T>& lane, const LayerRun& layer, int d, const std::int32_t* place, Index N);

  // Of sequences that are cut in time.
  Index steps_of_pieces(const Run& run) const;
  Piece cut(Lane<T>& lane, const Run& run, const LayerRun& layer, int index, int d, Index begin,
            const Flow<T>& flow) const;
  void go_through(Lane<T>& lane, Piece& piece, int index, int d);
  template <class Tile>
  void each_tile(Index B, const Tile& tile) const;
  void forward_in_pieces(Lane<T>& lane, Run& run, int index, int d, const Flow<T>& flow);
  void backward_in_pieces(Lane<T>& lane, Run& run, int index, int d, const Ends<T>& ends, const Flow<T>& read, T* dx);

  void drop(const Flow<T>& read, int layer, const T* from, T* to) const;

  const RecurrentOptions o_;
  const CellTraits& traits_;
  const Index GH_;
  Embed<T>* const table_;
  Arena packed_;
  Arena arena_;  // of the running batch
  Carried carried_{};
  Look look_;
  Index parameters_ = 0;
  std::vector<Unit<T>> units_;  // the directions of one layer after the other
  std::vector<T*> sums_;  // [lanes * directions] of [touched rows of the lane, G*H]: gate gradients by row of the table
};

}  // namespace tidegate
