// Live sequences of one program, by slot, and the steps that take them on.
//
// A layer that also runs backward does so over the rows that follow, as many as it looks ahead: its output of a step is
// given when so many more are known, or the sequence ends. Each number is the chain of operations of a whole sequence
// that ends there.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "program/program.h"

namespace tidegate {

// So many sequences ("slots"). One caller at a time.
template <class T>
class Streams {
 public:
  // The program must live longer, with the parameters that it has packed, not for training, when this is made. `ahead`:
  // how far each layer that runs backward looks ahead. Throws std::bad_alloc, and std::invalid_argument where a node
  // has no live form, or `ahead` is of another network.
  // `source`: of pairs, whose targets pass, the number of the source that each slot has; else null.
  Streams(Program<T>& program, Index capacity, const std::vector<Index>& ahead,
          const std::vector<Index>* source = nullptr);

  // Takes sequence slot[i] on by rows offsets[i] .. offsets[i + 1] - 1 of x [*, width], or of ids [*]; the slots
  // differ. Writes the rows of output end to end; of a pooled network one row for each sequence, which says what the
  // network would say if it ended here. With `ending` the rows that wait for steps to come are given, too, and the
  // slots are to be cleared. Throws std::bad_alloc.
  void run(const Index* slot, const Index* offsets, Index n, const T* x, const std::int32_t* ids, bool ending, T* out,
           int threads);

  // Whether these are slots, each named once.
  bool distinct(const Index* slot, Index n);

  // How many rows of output `run` gives for so many more steps.
  Index rows_after(Index slot, Index steps, bool ending) const;

  void clear(Index slot);
  void copy(Index from, Index to);
  Index numbers() const { return state_.numbers(); }  // of one state
  void read(Index slot, T* to) const { state_.read(slot, to); }
  void write(Index slot, const T* from, Index steps);

  // The sources of pairs, which were read as wholes, and the slots that begin with targets of them.
  void open(Index source, const std::vector<Flow<T>>& flows, Index b, int threads);
  void close(Index source);
  void start(Index slot, Index source);
  // The nodes that attend to a source, in their order.
  std::vector<const LiveAttention<T>*> attentions() const;

  Index width() const { return width_; }            // features of a row that comes in
  Index vocabulary() const { return vocabulary_; }  // how many ids there are, where ids come in; else zero
  Index out() const { return out_; }
  Index lookahead() const { return lookahead_; }  // of all nodes together, in rows that come in
  bool at_once() const { return at_once_; }       // each row that comes in is answered by one
  bool pooled() const { return pooled_; }
  Index steps(Index slot) const { return steps_[slot]; }

  // Whoever steps holds it; false: another thread does.
  bool enter() { return !busy_.exchange(true, std::memory_order_acquire); }
  void leave() { busy_.store(false, std::memory_order_release); }

 private:
  // Rows that flow `flow` has when so many have come in.
  Index due(std::size_t flow, Index steps, bool ending) const;
  LiveRows<T> first(const Index* offsets, Index n, Index begin, bool all, const T* x, const std::int32_t* ids);
  void walk(const LiveTurn& turn, const LiveRows<T>& rows);
  void pass(const LiveTurn& turn, std::size_t index);
  void say(const LiveTurn& turn, T* out);

  // A node, and what passes it. Null where rows pass as they are.
  struct Live {
    std::unique_ptr<LiveNode<T>> node;
    LivePath<T> gives;
    bool passed() const { return !gives.above && !gives.aside; }  // as rows come in
  };

  const Reads& reads_;
  const Index capacity_, out_;
  const bool pooled_;
  Index lookahead_ = 0, width_, vocabulary_, block_rows_;
  bool at_once_;
  LiveState<T> state_;
  std::vector<Index> steps_;
  std::vector<Live> nodes_;
  std::vector<LiveRows<T>> flows_, read_;     // what comes in and what each node gives; what the running one reads
  std::vector<std::vector<Index>> received_;  // of each flow, the rows that went before
  Buffer input_;
  std::vector<Index> block_, spare_, written_, pooled_rows_;
  std::vector<std::int32_t> ids_;
  std::vector<std::uint8_t> seen_;
  std::atomic<bool> busy_{false};
};

}  // namespace tidegate
