// Targets of pairs that are read step by step, by slot, once their sources have been read as wholes.
#pragma once

#include "program/streams.h"

namespace tidegate {

// One caller at a time.
template <class T>
class Decoder {
 public:
  // The program must live longer, with the parameters that it has packed to run when this is made, and nobody else runs
  // it. Throws std::bad_alloc, and std::invalid_argument where the network does not read pairs, or not live.
  Decoder(Program<T>& program, Index capacity);

  // Reads sources, pairs without targets, as one batch; number [B] is what each is called from then on. None is open
  // where this fails or is given up.
  Status open(const Sequenced<T>& sources, int threads, Index* number, Index& bad_token);
  // Forgets a source; slots that have it must start anew. False where there is none.
  bool close(Index source);
  bool holds(Index source) const { return source >= 0 && source < count() && open_[source]; }

  // Whether these are slots, each named once; whether all of them have a source that is held.
  bool distinct(const Index* slot, Index n) { return streams_.distinct(slot, n); }
  bool within(const Index* slot, Index n) const;
  bool started(const Index* slot, Index n) const;

  // Puts slots at the beginning of targets.
  void start(const Index* slot, const Index* source, Index n);
  // Makes slots `to` what slots `from` were before.
  void copy(const Index* from, const Index* to, Index n);
  // out [n, out()]: the scores after one more id of each; returns false, and does nothing, for an id out of range.
  bool step(const Index* slot, const std::int32_t* id, Index n, T* out, int threads);

  Index out() const { return streams_.out(); }
  Index vocabulary() const { return streams_.vocabulary(); }
  // How much the rows of the last step attended to their sources, node by node.
  std::vector<const LiveAttention<T>*> attentions() const { return streams_.attentions(); }
  Index stepped() const { return stepped_; }  // rows of that step

 private:
  Index count() const { return static_cast<Index>(open_.size()); }

  Program<T>& program_;
  const Index capacity_;
  std::vector<Index> source_;  // [capacity] of each slot, -1 before it starts
  Streams<T> streams_;
  std::vector<char> open_;  // of each number
  std::vector<Index> offsets_, sources_;
  std::vector<T> states_;
  Index stepped_ = 0;
};

}  // namespace tidegate
