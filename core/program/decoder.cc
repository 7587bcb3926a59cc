#include "program/decoder.h"

#include <algorithm>
#include <numeric>

namespace tidegate {

template <class T>
Decoder<T>::Decoder(Program<T>& program, Index capacity)
    : program_(program), capacity_(capacity), source_(capacity, -1), streams_(program, capacity, {}, &source_) {
  bool targets = false;
  for (std::size_t i = 0; i < program.size(); ++i) targets |= program.node(i).takes_targets();
  if (!targets || streams_.pooled()) throw std::invalid_argument("the network answers no targets of pairs");
}

template <class T>
Status Decoder<T>::open(const Sequenced<T>& sources, int threads, Index* number, Index& bad_token) {
  Index taken = 0;
  const auto keep = [&](const std::vector<Flow<T>>& flows) {
    Index next = 0;
    for (Index b = 0; b < sources.B && !halted(); ++b) {
      while (next < count() && open_[next]) ++next;
      if (next == count()) open_.push_back(0);
      open_[number[taken++] = next] = 1;
      streams_.open(next, flows, b, threads);
    }
  };
  const Status status = program_.show(sources, threads, keep, bad_token);
  if (status != Status::kOk || halted()) {
    while (taken > 0) close(number[--taken]);
  }
  return status;
}

template <class T>
bool Decoder<T>::close(Index source) {
  if (!holds(source)) return false;
  streams_.close(source);
  open_[source] = 0;
  std::replace(source_.begin(), source_.end(), source, Index(-1));
  return true;
}

template <class T>
bool Decoder<T>::within(const Index* slot, Index n) const {
  return std::all_of(slot, slot + n, [&](Index at) { return at >= 0 && at < capacity_; });
}

template <class T>
bool Decoder<T>::started(const Index* slot, Index n) const {
  return std::all_of(slot, slot + n, [&](Index at) { return source_[at] >= 0; });
}

template <class T>
void Decoder<T>::start(const Index* slot, const Index* source, Index n) {
  for (Index i = 0; i < n; ++i) {
    streams_.start(slot[i], source[i]);
    source_[slot[i]] = source[i];
  }
}

template <class T>
void Decoder<T>::copy(const Index* from, const Index* to, Index n) {
  const Index numbers = streams_.numbers();
  states_.resize(n * numbers);
  sources_.resize(n);
  offsets_.resize(n);
  for (Index i = 0; i < n; ++i) {
    streams_.read(from[i], states_.data() + i * numbers);
    sources_[i] = source_[from[i]];
    offsets_[i] = streams_.steps(from[i]);
  }
  for (Index i = 0; i < n; ++i) {
    streams_.write(to[i], states_.data() + i * numbers, offsets_[i]);
    source_[to[i]] = sources_[i];
  }
}

template <class T>
bool Decoder<T>::step(const Index* slot, const std::int32_t* id, Index n, T* out, int threads) {
  if (!std::all_of(id, id + n, [&](std::int32_t i) { return i >= 0 && i < vocabulary(); })) return false;
  offsets_.resize(n + 1);
  std::iota(offsets_.begin(), offsets_.end(), Index(0));
  streams_.run(slot, offsets_.data(), n, nullptr, id, false, out, threads);
  stepped_ = n;
  return true;
}

template class Decoder<float>;
template class Decoder<double>;

}  // namespace tidegate
