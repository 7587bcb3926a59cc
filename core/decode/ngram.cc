#include "decode/ngram.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace tidegate {
namespace {

constexpr double kLn10 = 2.302585092994045684018;
constexpr std::int32_t kFew = 8;  // children that are looked through one by one

void require(bool holds) {
  if (!holds) throw std::invalid_argument("the arrays are no n-grams");
}

}  // namespace

NGram::NGram(const NGramArrays& in) : vocabulary_(in.order > 0 ? in.counts[0] : 0) {
  require(in.order > 0 && vocabulary_ > 0);
  Index nodes = 0;
  for (Index k = 0; k < in.order; ++k) {
    require(in.counts[k] >= 0 && in.counts[k] < std::numeric_limits<std::int32_t>::max() - nodes - 2);
    nodes += in.counts[k];
  }
  below_ = nodes - in.counts[in.order - 1];
  tokens_.assign(1, 0), probability_.assign(1, 0), backoff_.assign(1, 0);
  tokens_.insert(tokens_.end(), in.tokens, in.tokens + nodes);
  probability_.insert(probability_.end(), in.probability, in.probability + nodes);
  backoff_.insert(backoff_.end(), in.backoff, in.backoff + nodes);
  for (Index w = 0; w < vocabulary_; ++w) require(in.tokens[w] == w);
  begins_.assign({1, static_cast<std::int32_t>(1 + vocabulary_)});
  Index node = 0;
  for (Index k = 0; k + 1 < in.order; ++k) {  // where the children of each begin, which stand in the order of parents
    const Index last = node + in.counts[k], end = last + in.counts[k + 1];
    for (; node < last; ++node) {
      require(in.children[node] >= 0 && in.children[node] <= end + 1 - begins_.back());
      begins_.push_back(begins_.back() + in.children[node]);
    }
    require(begins_.back() == end + 1);
  }
  suffix_.assign(1 + nodes, kEmpty);
  for (std::int32_t parent = 1; parent <= below_; ++parent) {
    for (std::int32_t at = begins_[parent]; at < begins_[parent + 1]; ++at) {
      const std::int32_t token = tokens_[at];
      require(token >= 0 && token < vocabulary_ && (at == begins_[parent] || token > tokens_[at - 1]));
      std::int32_t context = suffix_[parent], found = child(context, token);
      while (found < 0) found = child(context = suffix_[context], token);
      suffix_[at] = found;
    }
  }
}

std::int32_t NGram::child(std::int32_t state, std::int32_t token) const {
  if (state == kEmpty) return 1 + token;
  if (state > below_) return -1;
  std::int32_t low = begins_[state], high = begins_[state + 1];
  while (high - low > kFew) {
    const std::int32_t middle = low + (high - low) / 2;
    (tokens_[middle] <= token ? low : high) = middle;
  }
  for (; low < high; ++low) {
    if (tokens_[low] == token) return low;
  }
  return -1;
}

NGram::Next NGram::next(std::int32_t state, std::int32_t token) const {
  double backed = 0;
  std::int32_t found = child(state, token);
  while (found < 0) {
    backed += backoff_[state];
    found = child(state = suffix_[state], token);
  }
  return {(backed + probability_[found]) * kLn10, found > below_ ? suffix_[found] : found};
}

}  // namespace tidegate
