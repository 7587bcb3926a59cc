// A network that the core runs: forward, and one half of a training step, the gradient of a batch.
//
// The sequences of a batch are dealt to lanes, by their lengths alone. A lane is a chain of groups, sequences of like
// length; a group is run forward, its loss is taken, and it is run back, while what it leaves behind is still in the
// cache of one core. What lanes add up is added as a tree. So nothing depends on the number of threads.
#pragma once

#include <memory>
#include <vector>

#include "nodes/embed.h"
#include "program/loss.h"
#include "program/node.h"

namespace tidegate {

// Sequences for the first node: rows of features, or token ids.
template <class T>
struct Sequenced {
  Index B, N;
  const Index* offsets;     // [B + 1]
  const T* x;               // [N, width] or null
  const std::int32_t* ids;  // [N] or null
};

template <class T>
class Program {
 public:
  // `table`: the embedding that the first node is, or has, else null; `first`: the number of that node; `width` and
  // `output_size`: features of what goes in and comes out.
  Program(std::vector<std::unique_ptr<Node<T>>> nodes, Embed<T>* table, std::uint32_t first, Index width,
          Index output_size);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Index parameters() const { return table_size() + dense_; }
  Index width() const { return width_; }
  Index output_size() const { return output_size_; }
  // Rows that come out of so many rows of a sequence.
  Index rows(Index read) const;
  Node<T>& node(std::size_t index) { return *nodes_[index]; }
  std::size_t size() const { return nodes_.size(); }

  // Reads the parameters, which stay where they are until the next call; in training, dropout is drawn.
  void pack(const T* parameters, bool training, const Draw& draw);

  // out [rows of all sequences, output size].
  Status run(const Sequenced<T>& batch, int threads, T* out, Index& bad_token);

  // losses [B], and the gradient of their weighted sum, [parameters]: of the table only the rows that the batch reads
  // are written. The parameters must have been packed for training.
  Status gradient(const Sequenced<T>& batch, Loss<T>& loss, int threads, T* gradient, double* losses, Index& bad_token);

 private:
  struct Plan;
  struct Passage;
  Index table_size() const { return table_ ? table_->size() : 0; }
  Status find_distinct(const Sequenced<T>& batch, Index& bad_token);
  Plan plan(const Sequenced<T>& batch) const;
  // Calls run(lane, passage, sequences, count) for each group, whose rows have entered.
  template <class F>
  void each_group(const Sequenced<T>& batch, const Plan& plan, Loss<T>* loss, const F& run);
  // Runs all nodes of a group, takes its loss and goes all the way back.
  void there_and_back(Lane<T>& lane, Passage& passage, Loss<T>& loss, const std::int32_t* sequences, Index count,
                      double* losses);
  void end_in_parts(Lane<T>& lane, Passage& passage, Loss<T>& loss, const std::int32_t* sequences, Index count,
                    double* losses);
  void enter(Lane<T>& lane, const Sequenced<T>& batch, const std::int32_t* sequences, Index count, Flow<T>& flow) const;
  void add_lanes(const Plan& plan, T* gradient);

  std::vector<std::unique_ptr<Node<T>>> nodes_;
  Embed<T>* const table_;
  const Index width_;
  const Index output_size_;
  Index dense_ = 0;   // parameters that are not of the table
  Index extras_ = 0;  // numbers that lanes add up besides
  Index left_behind_ = 0;
  Index stepped_ = 0;
  Common common_;
  std::vector<std::unique_ptr<Arena>> kept_;  // of each lane
  Arenas arenas_;
  std::vector<std::int32_t> row_of_token_, row_of_id_, id_of_row_;
  std::vector<T> lane_gradients_, extra_sums_;
};

}  // namespace tidegate
