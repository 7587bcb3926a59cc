// Live sequences of one network, by slot, and the steps that take them on.
#pragma once

#include <atomic>
#include <deque>
#include <variant>
#include <vector>

#include "stream/stages.h"

namespace tidegate {

// So many sequences ("slots") of one network. One caller at a time.
template <class T>
class Streams {
 public:
  // Throws std::bad_alloc. The network must live longer.
  Streams(const StreamNetwork<T>& network, Index capacity);

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
  Index numbers() const { return numbers_; }  // of one state
  void read(Index slot, T* to) const;         // [numbers]
  void write(Index slot, const T* from, Index steps);

  Index capacity() const { return capacity_; }
  Index steps(Index slot) const { return steps_[slot]; }
  const StreamNetwork<T>& network() const { return network_; }

  // Whoever steps holds it; false: another thread does.
  bool enter() { return !busy_.exchange(true, std::memory_order_acquire); }
  void leave() { busy_.store(false, std::memory_order_release); }

 private:
  using Stage = std::variant<MatrixStream<T>, LayerStream<T>, PoolStream<T>>;

  StreamRows<T> first(const StreamTurn& turn, const Index* offsets, Index begin, bool all, const T* x,
                      const std::int32_t* ids);
  StreamRows<T> walk(const StreamTurn& turn, StreamRows<T> rows);
  void say(const StreamTurn& turn, T* out);

  const StreamNetwork<T>& network_;
  const Index capacity_;
  Index numbers_ = 0;
  std::vector<Index> steps_;
  std::deque<Stage> stages_;
  std::vector<StreamState<T>*> states_;  // of those that keep one, in their order
  Buffer input_;
  std::vector<Index> block_, spare_, received_, written_;
  std::vector<std::int32_t> ids_;
  std::vector<std::uint8_t> seen_;
  std::atomic<bool> busy_{false};
};

}  // namespace tidegate
