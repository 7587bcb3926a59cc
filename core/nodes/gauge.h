// What the gates and the gradients of recurrent layers look like, by layer and direction; for whoever watches training.
#pragma once

#include <vector>

#include "program/node.h"

namespace tidegate {

// What was seen of a batch.
struct Health {
  std::vector<std::int64_t> saturated;     // [units * gates] how many of the values hardly move
  std::int64_t values = 0;                 // of each gate
  std::vector<std::vector<double>> reach;  // [units] gradient at the far end of a sequence over that at its steps
};

// Where a sigmoid (below `low`, above `high`) and a tanh (beyond `steep`, either way) hardly move.
template <class T>
struct Flat {
  T low, high, steep;
};

template <class T>
class Gauge {
 public:
  explicit Gauge(const CellTraits& traits) : traits_(traits) {}

  // Looks at every batch from now on, or at none (null).
  void watch(const Flat<T>* flat);
  bool watching() const { return watching_; }
  // Before a batch, of so many layers times directions.
  void begin(int lanes, std::size_t units);

  // Counts in N rows of a unit: its gates [N, gates * H], or of a cell without gates its state [N, stride].
  void count(const Lane<T>& lane, int unit, const T* values, Index stride, Index N, Index H);
  // Of every sequence that is not empty: the length of the gradient of the state before the first step, over the
  // longest that the loss gives one of its steps by itself.
  void reach(const Lane<T>& lane, int unit, const CellBackward<T>& walk, Index B);

  Health health() const;

 private:
  const CellTraits& traits_;
  bool watching_ = false;
  Flat<T> flat_{};
  std::vector<Health> lanes_;
};

}  // namespace tidegate
