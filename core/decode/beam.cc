#include "decode/beam.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "decode/numbers.h"

namespace tidegate {
namespace {

constexpr double kMostNats = 300;        // a symbol so much less probable than the best of a frame is not read
constexpr double kFaint = 0x1p-900;      // a text with so small a sum, where the best has about one, is dropped
constexpr double kSmall = 0x1p-64;       // sums are scaled when the largest is smaller, or larger than its inverse
constexpr double kAboveZero = 1e-3;      // what rounding may make of a log-probability of zero, generously
constexpr std::size_t kFewNodes = 4096;  // that are not worth compacting

// The power of two to divide by, where the largest sum is small or large; else 0.
int exponent_of(double largest) {
  int exponent = 0;
  if (largest > 0 && !(largest >= kSmall && largest <= 1 / kSmall)) std::frexp(largest, &exponent);
  return exponent;
}

}  // namespace

Beam::Beam(const BeamOptions& options, std::shared_ptr<const Scorer> scorer)
    : options_(options),
      scorer_(std::move(scorer)),
      nodes_before_compacting_(kFewNodes),
      spans_before_compacting_(kFewNodes),
      place_of_symbol_(options.symbols, -1) {
  nodes_.push_back({-1, -1, 0, -1, -1, 0});
  entries_.push_back({1, 0, 1, 0, {-1, 0, 0}, {-1, 0, 0}, 0, -1});
  if (!scorer_) return;
  known_.push_back(scorer_->begin());
  if (!scorer_->rows()) return;
  entries_[0].slot = 0;
  rows_.assign(slots() * (options.symbols + 1), 0);
  fresh_.push_back({0, -1, -1});
}

template <class T>
bool Beam::choose(const T* row) {
  const Index symbols = options_.symbols;
  T peak = row[0];
  bool fine = true;
  for (Index k = 0; k <= symbols; ++k) {
    peak = row[k] > peak ? row[k] : peak;
    fine &= row[k] <= T(kAboveZero);
  }
  if (!fine || !(peak > -std::numeric_limits<T>::infinity())) return false;
  const double most = peak, least = std::min(options_.least, most), faint = most - kMostNats;
  chosen_.clear(), chances_.clear();
  const T at_least = static_cast<T>(std::max(least, faint));
  for (Index k = 1; k <= symbols; ++k) {
    if (!(row[k] >= at_least)) continue;
    const double log = row[k];
    if (log < least || log < faint) continue;
    place_of_symbol_[k - 1] = static_cast<std::int32_t>(chosen_.size());
    chosen_.push_back(static_cast<std::int32_t>(k - 1));
    chances_.push_back(plain_exp(log - most));
  }
  const double log = row[0];
  blank_ = log < faint ? 0 : plain_exp(log - most);
  peaks_ += most;
  return true;
}

template <class T>
Index Beam::push(const T* rows, Index frames) {
  fresh_.clear();
  for (Index t = 0; t < frames; ++t) {
    if (!choose(rows + t * (options_.symbols + 1))) return t;
    if (chosen_.empty()) {
      only_blank();
    } else {
      frame();
      for (const std::int32_t symbol : chosen_) place_of_symbol_[symbol] = -1;
      if (nodes_.size() > nodes_before_compacting_ || spans_.size() > spans_before_compacting_) compact();
    }
    ++frames_;
    if (!fresh_.empty()) return t + 1;
  }
  return frames;
}

template Index Beam::push(const float*, Index);
template Index Beam::push(const double*, Index);

// No symbol but the blank was chosen, which is the most probable one and has the scaled probability one.
void Beam::only_blank() {
  for (Entry& e : entries_) {
    if (e.best_symbol > e.best_blank) e.best_blank = e.best_symbol, e.at_blank = e.at_symbol;
    e.blank += e.symbol;
    e.symbol = e.best_symbol = 0;
  }
}

void Beam::frame() {
  candidates_.clear();
  taken_.assign(entries_.size() * chosen_.size(), 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) stay(i);
  for (std::size_t i = 0; i < entries_.size(); ++i) extend(i);
  select();
  rescale();
}

// The sum of a text's alignments that go on with a chosen symbol it does not end with yet, and the best of them.
double Beam::lengthened(const Entry& e, std::size_t choice, double& best) const {
  const double chance = chances_[choice];
  if (nodes_[e.node].symbol == chosen_[choice]) {
    best = e.best_blank * chance;
    return e.blank * chance;
  }
  best = std::max(e.best_blank, e.best_symbol) * chance;
  return e.total() * chance;
}

// A text as it is: one more blank, its last symbol again, or its last symbol after the text before, if that is kept,
// too.
void Beam::stay(std::size_t index) {
  const Entry& e = entries_[index];
  Candidate to{e, 0, -1, -1};
  Entry& s = to.entry;
  s.blank = e.total() * blank_;
  if (e.best_symbol > e.best_blank) s.at_blank = e.at_symbol;
  s.best_blank = std::max(e.best_blank, e.best_symbol) * blank_;
  s.symbol = s.best_symbol = 0;
  const Node& node = nodes_[e.node];
  const std::int32_t place = node.symbol < 0 ? -1 : place_of_symbol_[node.symbol];
  if (place >= 0) {
    s.symbol = e.symbol * chances_[place];
    s.best_symbol = e.best_symbol * chances_[place];
    s.at_symbol.last = frames_;
    const std::int32_t parent = nodes_[node.parent].place;
    if (parent >= 0) {
      double best;
      s.symbol += lengthened(entries_[parent], place, best);
      if (best > s.best_symbol) {
        s.best_symbol = best;
        to.source = parent;
      }
      taken_[parent * chosen_.size() + place] = 1;
    }
  }
  if (s.total() < kFaint * kSmall) return;
  to.rank = scorer_ ? plain_log(s.total()) + scorer_->value(known_[e.node]) : s.total();
  candidates_.push_back(to);
}

void Beam::extend(std::size_t index) {
  const Entry& e = entries_[index];
  for (std::size_t c = 0; c < chosen_.size(); ++c) {
    if (taken_[index * chosen_.size() + c]) continue;
    double best;
    const double sum = lengthened(e, c, best);
    if (sum < kFaint * kSmall) continue;
    Candidate to{{0, sum, 0, best, {}, {}, e.node, -1}, sum, chosen_[c], static_cast<std::int32_t>(index)};
    if (scorer_) {
      const double row = scorer_->rows() ? rows_[e.slot * (options_.symbols + 1) + chosen_[c]] : 0;
      const Knowledge& known = known_[child(e.node, chosen_[c], row)];
      if (known.dead) continue;
      to.rank = plain_log(sum) + scorer_->value(known);
    }
    candidates_.push_back(to);
  }
}

bool Beam::before(const Candidate& a, const Candidate& b) const {
  if (a.rank != b.rank) return a.rank > b.rank;
  return compare(a.entry.node, a.symbol, b.entry.node, b.symbol) < 0;
}

// Which of two texts has the smaller symbols, as words are sorted; each is a node and, where that is no -1, a symbol
// more.
int Beam::compare(std::int32_t a, std::int32_t a_more, std::int32_t b, std::int32_t b_more) const {
  const auto length = [this](std::int32_t node, std::int32_t more) { return nodes_[node].depth + (more >= 0); };
  const std::int32_t longer = length(a, a_more) - length(b, b_more);
  const auto shorten = [this](std::int32_t& node, std::int32_t& more) {
    if (more >= 0) {
      more = -1;
    } else {
      node = nodes_[node].parent;
    }
  };
  for (std::int32_t i = longer; i > 0; --i) shorten(a, a_more);
  for (std::int32_t i = longer; i < 0; ++i) shorten(b, b_more);
  int order = 0;
  while (a != b || a_more != b_more) {
    const std::int32_t of_a = a_more >= 0 ? a_more : nodes_[a].symbol, of_b = b_more >= 0 ? b_more : nodes_[b].symbol;
    if (of_a != of_b) order = of_a < of_b ? -1 : 1;
    shorten(a, a_more), shorten(b, b_more);
  }
  return order != 0 ? order : longer;
}

void Beam::select() {
  auto end = candidates_.end();
  if (candidates_.size() > static_cast<std::size_t>(options_.width)) {
    end = candidates_.begin() + options_.width;
    std::nth_element(candidates_.begin(), end, candidates_.end(),
                     [this](const Candidate& a, const Candidate& b) { return before(a, b); });
  }
  settle(end);
}

std::int32_t Beam::close(const Entry& e, std::int32_t last_symbol) {
  if (nodes_[e.node].symbol < 0) return -1;
  const bool symbol = nodes_[e.node].symbol != last_symbol && e.best_symbol > e.best_blank;
  const Times& times = symbol ? e.at_symbol : e.at_blank;
  spans_.push_back({times.before, times.first, times.last});
  return static_cast<std::int32_t>(spans_.size()) - 1;
}

// Makes entries of the candidates that were chosen.
void Beam::settle(std::vector<Candidate>::iterator end) {
  next_.clear();
  const bool rows = scorer_ && scorer_->rows();
  std::vector<std::uint8_t> busy;
  if (rows) {
    busy.assign(slots(), 0);
    for (const Entry& e : entries_) busy[e.slot] = 1;
  }
  std::int32_t free = 0;
  for (const Entry& e : entries_) nodes_[e.node].place = -1;
  for (auto to = candidates_.begin(); to != end; ++to) {
    Entry& s = to->entry;
    const std::int32_t last = to->symbol >= 0 ? to->symbol : nodes_[s.node].symbol;
    if (to->source >= 0) s.at_symbol = {close(entries_[to->source], last), frames_, frames_};
    if (to->symbol >= 0) {
      if (rows) {
        while (busy[free]) ++free;
        busy[free] = 1;
        s.slot = free;
        fresh_.push_back({free, entries_[to->source].slot, to->symbol});
      }
      s.node = child(s.node, to->symbol, 0);
      s.at_blank = s.at_symbol;
    }
    next_.push_back(s);
  }
  entries_.swap(next_);
}

// Sums and best alignments are scaled apart: of many alignments the best one is a small part of the sum.
void Beam::rescale() {
  double most = 0, best = 0;
  for (const Entry& e : entries_) {
    most = std::max(most, e.total());
    best = std::max({best, e.best_blank, e.best_symbol});
  }
  const int up = exponent_of(most), best_up = exponent_of(best);
  scaled_ += up;
  if (up != 0 || best_up != 0) {
    const double scale = std::ldexp(1.0, -up), best_scale = std::ldexp(1.0, -best_up);
    for (Entry& e : entries_) {
      e.blank *= scale, e.symbol *= scale;
      e.best_blank *= best_scale, e.best_symbol *= best_scale;
    }
  }
  const auto faint = [](const Entry& e) { return e.total() < kFaint; };
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(), faint), entries_.end());
  for (std::size_t i = 0; i < entries_.size(); ++i) nodes_[entries_[i].node].place = static_cast<std::int32_t>(i);
}

std::int32_t Beam::find_child(std::int32_t node, std::int32_t symbol) const {
  std::int32_t at = nodes_[node].child;
  while (at >= 0 && nodes_[at].symbol != symbol) at = nodes_[at].next;
  return at;
}

std::int32_t Beam::add_node(std::int32_t parent, std::int32_t symbol) {
  const std::int32_t made = static_cast<std::int32_t>(nodes_.size());
  nodes_.push_back({parent, symbol, nodes_[parent].depth + 1, -1, nodes_[parent].child, -1});
  nodes_[parent].child = made;
  return made;
}

std::int32_t Beam::child(std::int32_t node, std::int32_t symbol, double row) {
  const std::int32_t found = find_child(node, symbol);
  if (found >= 0) return found;
  const std::int32_t made = add_node(node, symbol);
  if (scorer_) known_.push_back(scorer_->after(known_[node], symbol, row));
  return made;
}

}  // namespace tidegate
