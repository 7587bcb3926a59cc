// What a node of a network is to live sequences: how rows pass it, and what it keeps of each sequence from step to
// step.
#pragma once

#include <stdexcept>
#include <vector>

#include "program/arena.h"

namespace tidegate {

// The sequences that one call takes on, and whether they end with it.
struct LiveTurn {
  const Index* slot;
  Index n;
  bool ending;
  int threads;
};

// Rows on their way: those of sequence i are offsets[i] .. offsets[i + 1] - 1.
template <class T>
struct LiveRows {
  const T* x;
  const std::int32_t* ids;  // of the rows of a table that were not looked up; else null
  const T* apart;           // the rows before their directions were merged
  const Index* offsets;     // [n + 1]
};

template <class T>
struct Flow;

// What one node makes of them; it keeps the memory that it needs meanwhile.
template <class T>
class LiveNode {
 public:
  LiveNode() = default;
  LiveNode(const LiveNode&) = delete;
  LiveNode& operator=(const LiveNode&) = delete;
  virtual ~LiveNode() = default;

  // Takes rows, and gives those that are due. `received` [n]: how many rows each sequence brought before, which becomes
  // how many it was given. A node that reads several finds the others right behind `in`, as many rows of each.
  virtual LiveRows<T> pass(const LiveTurn& turn, const LiveRows<T>& in, std::vector<Index>& received) = 0;
  // How many rows a sequence was given when it has brought so many; `ending`: and has ended.
  virtual Index due(Index received, bool ending) const {
    (void)ending;
    return received;
  }

  // Keeps, under a number, what it needs of the source of pairs that was read as sequence b of the flows behind the
  // first one that it reads; gives that up, also where `open` threw or never came to it; and brings a sequence to the
  // beginning of a target of it.
  virtual void open(Index source, const Flow<T>* const* read, Index b, int threads) {
    (void)source, (void)read, (void)b, (void)threads;
  }
  virtual void close(Index source) { (void)source; }
  virtual void start(Index slot, Index source) { (void)slot, (void)source; }
};

// A node that attends to the rows of a source.
template <class T>
class LiveAttention : public LiveNode<T> {
 public:
  // How much row `row` of those that passed last attends to each row of its source.
  struct Weights {
    const T* data;
    Index rows;
  };
  virtual Weights weights(Index row) const = 0;
};

// A node that makes one row of all rows of a sequence.
template <class T>
class LivePool : public LiveNode<T> {
 public:
  // The rows [n, width] of slots, of which so many rows were pooled, [n]; valid until the next call.
  virtual const T* say(const Index* slot, Index n, const Index* pooled) = 0;
};

// A table whose rows the ids stand for.
template <class T>
struct LiveTable {
  const T* rows;  // [count, width]
  Index count, width;
  bool unread;  // the node behind looks them up by itself
};

// Numbers of each slot, which make up the state of the sequence there.
template <class T>
class LiveState {
 public:
  explicit LiveState(Index slots) : slots_(slots) {}

  Index slots() const { return slots_; }
  // Zeros [slots, width] that are of the state from now on; null for none. Throws std::bad_alloc.
  T* keep(Index width) {
    if (width == 0) return nullptr;
    parts_.push_back({memory_.zeros<T>(slots_ * width), width});
    return parts_.back().data;
  }

  Index numbers() const {
    Index count = 0;
    for (const Part& part : parts_) count += part.width;
    return count;
  }
  void clear(Index slot) {
    for (const Part& part : parts_) std::fill_n(part.data + slot * part.width, part.width, T(0));
  }
  void copy(Index from, Index to) {
    for (const Part& part : parts_) {
      std::copy_n(part.data + from * part.width, part.width, part.data + to * part.width);
    }
  }
  void read(Index slot, T* to) const {
    for (const Part& part : parts_) to = std::copy_n(part.data + slot * part.width, part.width, to);
  }
  void write(Index slot, const T* from) {
    for (const Part& part : parts_) {
      std::copy_n(from, part.width, part.data + slot * part.width);
      from += part.width;
    }
  }

 private:
  struct Part {
    T* data;  // [slots, width]
    Index width;
  };
  const Index slots_;
  Arena memory_;
  std::vector<Part> parts_;
};

// What is known beforehand of the rows that pass between nodes.
template <class T>
struct LivePath {
  Index features = 0;
  Index stride = 1;               // rows that come in behind each
  Index waits = 0;                // how many rows that come in must be known besides before one is given
  LiveTable<T>* table = nullptr;  // whose rows may be left unread by the node that looks them up
  LivePool<T>* pool = nullptr;    // which gives them, one of each sequence, when it is asked; or null
  bool above = false;             // they are made of what was pooled
  bool aside = false;             // of the sources of pairs, which are read as wholes before
};

// What the nodes of a network tell each other, from the first to the last, while they are made ready for sequences.
template <class T>
struct LivePlan {
  LiveState<T>& state;
  const std::vector<Index>& ahead;             // how far the layers that run backward look ahead, one after the other
  Index width;                                 // features of the rows that come in
  Index vocabulary = 0;                        // of the ids that come in their place, or zero
  std::size_t taken = 0;                       // of those that look ahead
  std::vector<LivePath<T>> read{};             // by the node that is made ready
  LivePath<T> gave{};                          // by it; what it reads, if it says nothing else
  const std::vector<Index>* source = nullptr;  // of each slot, of pairs whose targets pass; or null

  Index lookahead() {
    if (taken == ahead.size()) throw std::invalid_argument("a layer that runs backward has no look-ahead");
    gave.waits += ahead[taken] * gave.stride;
    return ahead[taken++];
  }
};

}  // namespace tidegate
