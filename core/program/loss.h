// What a network is trained to make small: a number for each sequence of a group, and its gradient.
#pragma once

#include "program/node.h"

namespace tidegate {

template <class T>
class Loss {
 public:
  Loss() = default;
  Loss(const Loss&) = delete;
  Loss& operator=(const Loss&) = delete;
  virtual ~Loss() = default;

  // Writes losses[s] for every sequence s of the group, and the gradient of the sum of weight[s] * losses[s] into the
  // rows that the network gave. sequences [count] are their numbers in the batch.
  virtual void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, double* losses) const = 0;
};

}  // namespace tidegate
