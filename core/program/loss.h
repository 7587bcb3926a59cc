// What a network is trained to make small: a number for each sequence, and its gradient.
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

  // Before the first group of a batch; and of a lane, and after the last one of it.
  virtual void start(int lanes) { (void)lanes; }
  virtual void open(Lane<T>& lane) { (void)lane; }
  virtual void close(Lane<T>& lane) { (void)lane; }

  // Whether each row is lost by itself, so that the rows of a group may come a part at a time.
  virtual bool by_row() const { return false; }

  // Writes losses[s] for every sequence s of a group, and the gradient of the sum of weight[s] * losses[s] with respect
  // to the rows that the network gave. sequences [count] are their numbers in the batch; `first` is the row of the
  // group that comes first, of a part.
  virtual void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index first,
                    double* losses) = 0;
};

// The gradient of the rows, as somebody else found it: [rows of all sequences, width], those of sequence b from
// begin[b].
template <class T>
class Given final : public Loss<T> {
 public:
  Given(const T* gradient, const Index* begin) : gradient_(gradient), begin_(begin) {}

  void lose(Lane<T>& lane, Flow<T>& gave, const std::int32_t* sequences, Index count, Index, double* losses) override {
    gave.drows = lane.arena.template get<T>(gave.N * gave.width);
    T* to = gave.drows;
    for (Index i = 0; i < count; ++i) {
      const Index b = sequences[i], numbers = (begin_[b + 1] - begin_[b]) * gave.width;
      to = std::copy_n(gradient_ + begin_[b] * gave.width, numbers, to);
      losses[b] = 0;
    }
  }

 private:
  const T* const gradient_;
  const Index* const begin_;
};

}  // namespace tidegate
