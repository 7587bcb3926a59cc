// The most probable texts of frames that CTC labels: a prefix beam search (Graves 2006, Hannun et al. 2014).
//
// A text is as probable as all alignments with it together. Of each text in the beam two sums are kept: of alignments
// that end in a blank, and of those that end in its last symbol; beside each the best single alignment, for the frames
// of the symbols. Sums are scaled by powers of two alone, so that frames in any chunks give the same bits.
#pragma once

#include <vector>

#include "decode/scorer.h"

namespace tidegate {

struct BeamOptions {
  Index symbols;  // V, the blank not counted
  Index width;    // texts that are kept
  double least;   // log-probability below which a symbol is not read in a frame, unless it is the most probable one
};

// A text, and what was found of it.
struct Found {
  std::vector<std::int32_t> symbols;  // 0 <= symbol < V
  std::vector<Index> spans;           // [2 * symbols], first and last frame of each in the best alignment
  double score, log_probability, language;
  bool whole;
};

class Beam {
 public:
  // `scorer` may be null. Throws std::bad_alloc.
  Beam(const BeamOptions& options, std::shared_ptr<const Scorer> scorer);

  // Reads frames of log-probabilities [frames, 1 + V], the blank first; returns how many were read: fewer than came
  // where the next one has no finite number, a NaN, or one above zero. With a scorer that wants rows it stops after
  // each frame. Throws std::bad_alloc.
  template <class T>
  Index push(const T* rows, Index frames);

  // The best texts if the sequence ended here, the best first; of equal scores the one with the smaller symbols.
  std::vector<Found> best(Index most) const;
  // What all texts in the beam begin with.
  std::vector<std::int32_t> stable() const;
  Index frames() const { return frames_; }
  Index size() const { return static_cast<Index>(entries_.size()); }

  // A text that has come into the beam, whose row of scores is wanted: where it goes, whose successor it is.
  struct Fresh {
    std::int32_t slot, from, symbol;
  };
  const std::vector<Fresh>& fresh() const { return fresh_; }
  double* row(std::int32_t slot) { return rows_.data() + slot * (options_.symbols + 1); }
  Index slots() const { return 2 * options_.width; }
  std::vector<std::int32_t> used() const;  // the slots of the texts in the beam

  // All that is to be known to go on elsewhere, as numbers, and the other way round; the rows are part of it. `read`
  // throws std::invalid_argument where they are no state of such a beam.
  std::vector<double> write() const;
  void read(const double* numbers, Index count);

 private:
  struct Node {
    std::int32_t parent, symbol, depth, child, next,
        place;  // first child, next child of the parent, index of the entry
  };
  struct Times {
    std::int32_t before;  // the span of the symbol before, or -1
    Index first, last;    // frames of the last symbol
  };
  struct Entry {
    double blank, symbol;            // sums of alignments that end so
    double best_blank, best_symbol;  // the best alignment of each
    Times at_blank, at_symbol;       // its spans
    std::int32_t node, slot;
    double total() const { return blank + symbol; }
  };
  struct Candidate {
    Entry entry;  // its node is that of the parent where `symbol` is not negative
    double rank;
    std::int32_t symbol;  // that the text is longer by, or -1
    std::int32_t source;  // the entry that its best alignment came from by one more symbol, or -1
  };
  struct Span {
    std::int32_t before;
    Index first, last;
  };

  template <class T>
  bool choose(const T* row);  // the symbols of a frame; false where it cannot be read
  void frame();
  void only_blank();
  void stay(std::size_t index);
  void extend(std::size_t index);
  double lengthened(const Entry& entry, std::size_t choice, double& best) const;
  void select();
  void settle(std::vector<Candidate>::iterator end);
  void rescale();
  void compact();
  bool before(const Candidate& a, const Candidate& b) const;
  int compare(std::int32_t a, std::int32_t a_more, std::int32_t b, std::int32_t b_more) const;
  std::int32_t find_child(std::int32_t node, std::int32_t symbol) const;
  std::int32_t child(std::int32_t node, std::int32_t symbol, double row);
  std::int32_t close(const Entry& entry, std::int32_t last_symbol);
  std::int32_t add_node(std::int32_t parent, std::int32_t symbol);
  Found told(const Entry& entry) const;

  const BeamOptions options_;
  const std::shared_ptr<const Scorer> scorer_;
  Index frames_ = 0;
  double peaks_ = 0;         // the log-probabilities that the frames were scaled by, together
  std::int64_t scaled_ = 0;  // the powers of two, together
  std::vector<Node> nodes_;
  std::vector<Knowledge> known_;  // of each node, where there is a scorer
  std::vector<Span> spans_;
  std::vector<Entry> entries_, next_;
  std::vector<double> rows_;  // [slots, V + 1]
  std::vector<Fresh> fresh_;
  std::size_t nodes_before_compacting_, spans_before_compacting_;
  // Of one frame.
  double blank_ = 0;
  std::vector<std::int32_t> chosen_;
  std::vector<double> chances_;
  std::vector<std::int32_t> place_of_symbol_;  // [V], its index among the chosen, or -1
  std::vector<std::uint8_t> taken_;            // [entries, chosen], whether that text is in the beam already
  std::vector<Candidate> candidates_;
};

}  // namespace tidegate
