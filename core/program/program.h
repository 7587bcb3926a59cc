// A network that the core runs: forward, and one half of a training step, the gradient of a batch.
//
// The sequences of a batch are dealt to lanes, by their lengths alone. A lane is a chain of groups, sequences of like
// length; a group is run forward, its loss is taken, and it is run back, while what it leaves behind is still in the
// cache of one core. What lanes add up is added as a tree. So nothing depends on the number of threads.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "nodes/embed.h"
#include "program/loss.h"
#include "program/node.h"

namespace tidegate {

constexpr int kMostLanes = 16;

// Sequences for the first node: rows of features, or token ids, or ids with numbers beside each.
template <class T>
struct Sequenced {
  Index B, N;
  const Index* offsets;        // [B + 1]
  const T* x;                  // [N, width] or null
  const std::int32_t* ids;     // [N] or null
  const Index* cut = nullptr;  // [B] of pairs, the ids of a target behind those of its source: how many the source has
};

// The flows that each node reads, by number.
using Reads = std::vector<std::vector<std::size_t>>;

template <class T>
class Program {
 public:
  // `reads`: the flows that each node reads, 0 for what goes in and i + 1 for what node i gives; `table`: the embedding
  // that the first node is, or has, else null; `first`: the number of that node; `width` and `output_size`: features of
  // what goes in and comes out.
  Program(std::vector<std::unique_ptr<Node<T>>> nodes, Reads reads, Embed<T>* table, std::uint32_t first, Index width,
          Index output_size);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Index parameters() const { return table_size() + dense_; }
  Index table_size() const { return table_ ? table_->size() : 0; }
  Index width() const { return width_; }
  Index output_size() const { return output_size_; }
  // Rows that flow `flow` has of a sequence of so many rows: of a pair, of which so many are of the source; the cells
  // of an image, where one is given.
  Index rows(Index read, std::size_t flow, Index source = 0, const Image* image = nullptr) const;
  // The sizes of the images of the batch that comes next, [B]; they stay where they are. Null: its sequences are none.
  void read_images(const Image* images) { images_ = images; }
  const Image* images() const { return images_; }
  // Whether sequences must be images.
  void want_images(bool wanted) { wants_images_ = wanted; }
  bool wants_images() const { return wants_images_; }
  // Takes the program for one thread; false where another one has it.
  bool enter() { return !taken_.exchange(true, std::memory_order_acquire); }
  void leave() { taken_.store(false, std::memory_order_release); }
  Node<T>& node(std::size_t index) { return *nodes_[index]; }
  std::size_t size() const { return nodes_.size(); }
  const Reads& reads() const { return reads_; }

  // Reads the parameters: those of the table, which stay where they are until the next call, and then the others.
  void pack(const T* table, const T* dense, Use use, const Draw& draw);
  // Reads what another program of the same nodes has packed, and stays there: so several threads run one network, each
  // with a program that has memory of its own.
  void borrow(const Program& other);

  // Some nodes, one after the other: the first ones, or the last one alone.
  struct Span {
    std::size_t first, last;
  };
  Span all() const { return {0, nodes_.size()}; }
  // What the last of some nodes gives of all sequences, end to end, when the batch enters the first of them.
  Status run(const Sequenced<T>& batch, Span span, int threads, T* out, Index& bad_token);

  // Runs a batch as one group, and shows all flows as long as the call lasts.
  using See = std::function<void(const std::vector<Flow<T>>& flows)>;
  Status show(const Sequenced<T>& batch, int threads, const See& see, Index& bad_token);

  // Runs a batch as one group, and keeps what every node read and gave as long as the program lives, as the arrays of
  // the batch must; once. The parameters must have been packed for that.
  Status record(const Sequenced<T>& batch, int threads, Index& bad_token);
  // Flow `index` where the batch was recorded; and what node `index` keeps.
  const Flow<T>& flow(std::size_t index) const { return recorded_->passage.flows[index]; }
  const void* kept(std::size_t index) const { return recorded_->passage.kept[index]; }
  // Goes back from the gradient of what the last node gave to that of the input, where that is not null; as often as
  // one likes.
  Status back(const T* doutput, int threads, T* dinput);

  // losses [B], and the gradient of their weighted sum, [parameters]: of the table only the rows that the batch reads
  // are written. The parameters must have been packed for training.
  Status gradient(const Sequenced<T>& batch, Loss<T>& loss, int threads, T* gradient, double* losses, Index& bad_token);

  // The same in parts, which several programs may share. Deals a batch: lane_of [B]; returns how many lanes there are.
  int deal(const Sequenced<T>& batch, std::int32_t* lane_of) const;
  // Runs lanes first .. last - 1 there and back; losses of their sequences alone are written.
  Status run_lanes(const Sequenced<T>& batch, Loss<T>& loss, int first, int last, int threads, double* losses,
                   Index& bad_token);
  // Numbers of a sum of lanes of the batch that ran: parameters that are not of the table, extras, rows of the table
  // that the batch reads, and rows that nodes have besides.
  Index summed() const;
  // sum [summed] of lanes first .. last - 1 of those that ran, once; they are a subtree of the tree of all lanes.
  void sum_lanes(int first, int last, T* sum);
  // The gradient, [parameters], from the sum of all lanes.
  void settle(const T* sum, int threads, T* gradient);

 private:
  struct Plan;
  // What passes between the nodes for one group, and what each keeps for the way back.
  struct Passage {
    std::vector<Flow<T>> flows;
    std::vector<void*> kept;
    std::vector<Flow<T>> read;  // by the running node
    explicit Passage(std::size_t nodes) : flows(nodes + 1), kept(nodes) {}
  };
  struct Recorded {
    Arena arena;
    Lane<T> lane;
    Passage passage;
    explicit Recorded(std::size_t nodes) : lane{0, 0, arena, arena, nullptr}, passage(nodes) {}
  };
  Status find_distinct(const Sequenced<T>& batch, Index& bad_token);
  Plan plan(const Sequenced<T>& batch) const;
  // Takes each group there and back.
  void each_group(const Sequenced<T>& batch, const Plan& plan, int first, int last, Loss<T>& loss, double* losses);
  // Runs all nodes of a group, takes its loss and goes all the way back.
  // Goes back through the nodes before `end`, from the gradient of what the last of them gave.
  void go_back(Lane<T>& lane, Passage& passage, std::size_t end);
  Flow<T>& gather(Passage& passage, std::size_t index) const;
  void there_and_back(Lane<T>& lane, Passage& passage, Loss<T>& loss, const std::int32_t* sequences, Index count,
                      double* losses);
  void end_in_parts(Lane<T>& lane, Passage& passage, Loss<T>& loss, const std::int32_t* sequences, Index count,
                    double* losses);
  void enter(Lane<T>& lane, const Sequenced<T>& batch, const std::int32_t* sequences, Index count, Flow<T>& flow) const;
  // All sequences as one group, in their order; nothing is copied.
  Flow<T> enter_whole(Lane<T>& lane, const Sequenced<T>& batch) const;
  // Calls f(index, sum [count], count) for stretches of the sums of lanes first .. last - 1, null where there are none.
  template <class F>
  void each_sum(int first, int last, const F& f);
  void add_lanes(T* gradient);
  void finish(T* gradient);
  // Calls f(rows) for each of the rows that are summed besides.
  template <class F>
  void each_touched(const F& f) const;

  void count(std::size_t flow, Extent& extent) const;

  std::vector<std::unique_ptr<Node<T>>> nodes_;
  const Reads reads_;
  bool branches_ = false;  // a node reads another one than that before it
  Embed<T>* const table_;
  const Image* images_ = nullptr;
  bool wants_images_ = false;
  const Index width_;
  const Index output_size_;
  Index dense_ = 0;   // parameters that are not of the table
  Index extras_ = 0;  // numbers that lanes add up besides
  Index left_behind_ = 0;
  Index stepped_ = 0;
  Common common_;
  std::atomic<bool> taken_{false};
  std::vector<std::unique_ptr<Arena>> kept_;  // of each lane
  Arenas arenas_;
  std::unique_ptr<Recorded> recorded_;
  std::vector<std::int32_t> row_of_token_, row_of_id_, id_of_row_;
  std::vector<T> lane_gradients_, extra_sums_;
  std::vector<char> ran_;  // of each lane, whether it holds anything to add
};

}  // namespace tidegate
