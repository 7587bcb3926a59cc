// What a beam says, drops and hands on.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "decode/beam.h"
#include "decode/numbers.h"

namespace tidegate {

Found Beam::told(const Entry& e) const {
  Found found{};
  found.log_probability = plain_log(e.total()) + (peaks_ + static_cast<double>(scaled_) * kLn2);
  found.score = found.log_probability;
  found.whole = true;
  if (scorer_) {
    const double row = scorer_->rows() ? rows_[e.slot * (options_.symbols + 1) + options_.symbols] : 0;
    const Scorer::End end = scorer_->end(known_[e.node], row);
    found.score += end.value;
    found.language = end.language;
    found.whole = end.whole;
  }
  for (std::int32_t at = e.node; nodes_[at].symbol >= 0; at = nodes_[at].parent)
    found.symbols.push_back(nodes_[at].symbol);
  std::reverse(found.symbols.begin(), found.symbols.end());
  found.spans.resize(2 * found.symbols.size());
  const Times& times = e.best_symbol > e.best_blank ? e.at_symbol : e.at_blank;
  Span span{times.before, times.first, times.last};
  for (std::size_t i = found.symbols.size(); i-- > 0;) {
    found.spans[2 * i] = span.first, found.spans[2 * i + 1] = span.last;
    if (i > 0) span = spans_[span.before];
  }
  return found;
}

std::vector<Found> Beam::best(Index most) const {
  std::vector<Found> all;
  for (const Entry& e : entries_) all.push_back(told(e));
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) {
    if (a.whole != b.whole) return a.whole;
    return a.score != b.score ? a.score > b.score : a.symbols < b.symbols;
  });
  if (static_cast<Index>(all.size()) > most) all.resize(most);
  return all;
}

std::vector<std::int32_t> Beam::stable() const {
  std::int32_t shared = entries_.empty() ? 0 : entries_.front().node;
  for (const Entry& e : entries_) {
    std::int32_t other = e.node;
    while (shared != other) {
      std::int32_t& deeper = nodes_[shared].depth > nodes_[other].depth ? shared : other;
      deeper = nodes_[deeper].parent;
    }
  }
  std::vector<std::int32_t> symbols;
  for (; nodes_[shared].symbol >= 0; shared = nodes_[shared].parent) symbols.push_back(nodes_[shared].symbol);
  std::reverse(symbols.begin(), symbols.end());
  return symbols;
}

std::vector<std::int32_t> Beam::used() const {
  std::vector<std::int32_t> slots;
  for (const Entry& e : entries_) slots.push_back(e.slot);
  return slots;
}

namespace {

// Numbers what is kept of a chain of parents, which come before their children, from zero on; the rest is -1.
template <class Item, class Parent>
std::vector<std::int32_t> kept(const std::vector<Item>& items, std::vector<std::int32_t> from, Parent parent) {
  std::vector<std::int32_t> number(items.size(), -1);
  for (std::int32_t at : from) {
    for (; at >= 0 && number[at] < 0; at = parent(items[at])) number[at] = 0;
  }
  std::int32_t count = 0;
  for (std::int32_t& n : number) n = n < 0 ? -1 : count++;
  return number;
}

}  // namespace

// Forgets what no text in the beam has come through.
void Beam::compact() {
  std::vector<std::int32_t> ends{0}, spans;
  for (const Entry& e : entries_) {
    ends.push_back(e.node);
    spans.push_back(e.at_blank.before), spans.push_back(e.at_symbol.before);
  }
  const auto node = kept(nodes_, ends, [](const Node& n) { return n.parent; });
  const auto span = kept(spans_, spans, [](const Span& s) { return s.before; });
  const auto moved = [](const std::vector<std::int32_t>& number, std::int32_t at) { return at < 0 ? -1 : number[at]; };
  const std::vector<Node> nodes = std::move(nodes_);
  nodes_.clear();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (node[i] < 0) continue;
    if (i == 0) {
      nodes_.push_back({-1, -1, 0, -1, -1, nodes[0].place});
    } else {
      nodes_[add_node(node[nodes[i].parent], nodes[i].symbol)].place = nodes[i].place;
    }
    if (scorer_) known_[node[i]] = known_[i];
  }
  if (scorer_) known_.resize(nodes_.size());
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (span[i] >= 0) spans_[span[i]] = {moved(span, spans_[i].before), spans_[i].first, spans_[i].last};
  }
  spans_.resize(spans_.size() - static_cast<std::size_t>(std::count(span.begin(), span.end(), -1)));
  for (Entry& e : entries_) {
    e.node = node[e.node];
    e.at_blank.before = moved(span, e.at_blank.before), e.at_symbol.before = moved(span, e.at_symbol.before);
  }
  nodes_before_compacting_ = std::max(nodes_before_compacting_, 2 * nodes_.size());
  spans_before_compacting_ = std::max(spans_before_compacting_, 2 * spans_.size());
}

std::vector<double> Beam::write() const {
  Beam twin(*this);
  twin.compact();
  std::vector<double> to{static_cast<double>(frames_), static_cast<double>(scaled_), peaks_};
  const auto add = [&to](auto... values) { (to.push_back(static_cast<double>(values)), ...); };
  add(twin.nodes_.size(), twin.spans_.size(), twin.entries_.size());
  for (std::size_t i = 1; i < twin.nodes_.size(); ++i) {
    add(twin.nodes_[i].parent, twin.nodes_[i].symbol, scorer_ ? twin.known_[i].language : 0.0);
  }
  for (const Span& s : twin.spans_) add(s.before, s.first, s.last);
  for (const Entry& e : twin.entries_) {
    add(e.blank, e.symbol, e.best_blank, e.best_symbol, e.node, e.slot);
    for (const Times* t : {&e.at_blank, &e.at_symbol}) add(t->before, t->first, t->last);
  }
  if (scorer_ && scorer_->rows()) {
    const Index width = options_.symbols + 1;
    for (const Entry& e : twin.entries_) {
      to.insert(to.end(), rows_.begin() + e.slot * width, rows_.begin() + (e.slot + 1) * width);
    }
  }
  return to;
}

namespace {

// Takes numbers one after the other, and refuses what is no number of its kind.
class Source {
 public:
  Source(const double* at, Index count) : at_(at), left_(count) {}

  double number() {
    require(left_ > 0 && std::isfinite(*at_));
    --left_;
    return *at_++;
  }
  // A whole number, low <= number < high.
  std::int64_t whole(double low, double high) {
    const double value = number();
    require(value >= low && value < high && value == std::floor(value));
    return static_cast<std::int64_t>(value);
  }
  double sum() {
    const double value = number();
    require(value >= 0 && value <= 0x1p80);
    return value;
  }
  Index left() const { return left_; }

  static void require(bool holds) {
    if (!holds) throw std::invalid_argument("the numbers are no state of such a beam");
  }

 private:
  const double* at_;
  Index left_;
};

}  // namespace

void Beam::read(const double* numbers, Index count) {
  constexpr double kMany = 0x1p52;
  Beam to(options_, scorer_);
  Source from(numbers, count);
  to.frames_ = from.whole(0, kMany);
  to.scaled_ = from.whole(-kMany, kMany);
  to.peaks_ = from.number();
  const double most = std::min(static_cast<double>(count), 0x1p31);  // no more than there are numbers
  const Index nodes = from.whole(1, most), spans = from.whole(0, most);
  const Index entries = from.whole(0, static_cast<double>(options_.width) + 1);
  for (Index i = 1; i < nodes; ++i) {
    const auto parent = static_cast<std::int32_t>(from.whole(0, static_cast<double>(i)));
    const auto symbol = static_cast<std::int32_t>(from.whole(0, static_cast<double>(options_.symbols)));
    const double language = from.number();
    to.add_node(parent, symbol);
    if (!scorer_) continue;
    to.known_.push_back(scorer_->after(to.known_[parent], symbol, 0));
    if (scorer_->rows()) to.known_.back().language = language;
    Source::require(!to.known_.back().dead);
  }
  std::vector<std::int32_t> length{0};  // of the chain that ends with a span; that of no span stands first
  const auto frame = [&] { return from.whole(0, kMany); };
  const auto before = [&](Index end) { return static_cast<std::int32_t>(from.whole(-1, static_cast<double>(end))); };
  for (Index i = 0; i < spans; ++i) {
    const std::int32_t chain = before(i);
    const Index first = frame(), last = frame();
    to.spans_.push_back({chain, first, last});
    length.push_back(length[chain + 1] + 1);
  }
  to.entries_.clear(), to.fresh_.clear();
  to.nodes_[0].place = -1;
  for (Index i = 0; i < entries; ++i) {
    Entry e{};
    for (double* const sum : {&e.blank, &e.symbol, &e.best_blank, &e.best_symbol}) *sum = from.sum();
    e.node = static_cast<std::int32_t>(from.whole(0, static_cast<double>(nodes)));
    e.slot = static_cast<std::int32_t>(from.whole(-1, static_cast<double>(slots())));
    for (Times* const t : {&e.at_blank, &e.at_symbol}) {
      t->before = before(spans);
      t->first = frame(), t->last = frame();
    }
    const std::int32_t inner = std::max(to.nodes_[e.node].depth - 1, 0);
    Source::require(e.total() >= 0x1p-900 && length[e.at_blank.before + 1] == inner &&
                    (length[e.at_symbol.before + 1] == inner));
    Source::require(to.nodes_[e.node].place < 0 && (e.slot >= 0) == !to.rows_.empty());
    to.nodes_[e.node].place = static_cast<std::int32_t>(i);
    to.entries_.push_back(e);
  }
  if (!to.rows_.empty()) {
    std::vector<std::uint8_t> taken(slots(), 0);
    for (const Entry& e : to.entries_) {
      Source::require(!taken[e.slot]++);
      for (Index k = 0; k <= options_.symbols; ++k) to.row(e.slot)[k] = from.number();
    }
  }
  Source::require(from.left() == 0);
  std::swap(frames_, to.frames_), std::swap(scaled_, to.scaled_), std::swap(peaks_, to.peaks_);
  nodes_.swap(to.nodes_), known_.swap(to.known_), spans_.swap(to.spans_), entries_.swap(to.entries_);
  rows_.swap(to.rows_), fresh_.swap(to.fresh_);
}

}  // namespace tidegate
