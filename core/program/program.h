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
  const Index* offsets;       // [B + 1]
  const T* x;                 // [N, width] or null
  const std::int32_t* ids32;  // [N] or null
  const std::int64_t* ids64;  // [N] or null
};

template <class T>
class Program {
 public:
  // `table`: the first node where that is an embedding, else null; `width` and `output_size`:
  // features of what goes in and comes out.
  Program(std::vector<std::unique_ptr<Node<T>>> nodes, Embed<T>* table, Index width, Index output_size);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Index parameters() const { return table_size() + dense_; }
  Index output_size() const { return output_size_; }
  // Rows that come out of so many rows of a sequence.
  Index rows(Index read) const;

  // Reads the parameters, which stay where they are until the next call.
  void load(const T* parameters);

  // out [rows of all sequences, output size]. Parameters must have been loaded.
  Status run(const Sequenced<T>& batch, int threads, T* out, Index& bad_token);

  // losses [B], and the gradient of their weighted sum, [parameters], zero where it was not written before.
  Status gradient(const T* parameters, const Sequenced<T>& batch, const Loss<T>& loss, const Draw& draw, int threads,
                  T* gradient, double* losses, Index& bad_token);

 private:
  struct Plan;
  Index table_size() const { return table_ ? table_->rows() * table_->width() : 0; }
  Status find_distinct(const Sequenced<T>& batch, Index& bad_token);
  template <class Id>
  Status find_distinct(const Sequenced<T>& batch, const Id* ids, Index& bad_token);
  Plan plan(const Sequenced<T>& batch) const;
  void pack(const T* parameters);
  // Calls finish(lane, flows, sequences) for each group, when all nodes have run.
  template <class F>
  void each_group(const Sequenced<T>& batch, const Plan& plan, const F& finish);
  void enter(Lane<T>& lane, const Sequenced<T>& batch, const std::int32_t* sequences, Index count, Flow<T>& flow) const;
  void add_lanes(const Plan& plan, T* gradient);

  std::vector<std::unique_ptr<Node<T>>> nodes_;
  Embed<T>* const table_;
  const Index width_;
  Index dense_ = 0, left_behind_ = 0, output_size_ = 0;
  Common common_;
  std::vector<std::unique_ptr<Lane<T>>> lanes_;
  std::vector<std::int32_t> row_of_token_, row_of_id_, id_of_row_;
  std::vector<T> lane_gradients_;
};

}  // namespace tidegate
