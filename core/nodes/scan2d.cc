#include "nodes/scan2d.h"

namespace tidegate {

// What a pass of a group read, gave and kept.
template <class T>
struct Scan2d<T>::Ran {
  Flow<T> read, gave;
  void* kept;
  const Index* cells;  // [N] of columns, or null
};

template <class T>
struct Scan2d<T>::Run {
  Ran* passes;
};

template <class T>
Scan2d<T>::Scan2d(const std::vector<Pass>& passes) {
  for (const Pass& pass : passes) {
    passes_.push_back({std::make_unique<Recurrent<T>>(pass.options, nullptr), pass.columns});
    parameters_ += passes_.back().layer->parameters();
  }
}

// Tells a layer what the program told this node.
template <class T>
void Scan2d<T>::settle(Own& own) const {
  own.layer->common = this->common;
  own.layer->number = this->number;
  own.layer->offset = this->offset;
  for (const Own& before : passes_) {
    if (&before == &own) return;
    own.layer->offset += before.layer->parameters();
  }
}

template <class T>
Index Scan2d<T>::left_behind() const {
  Index numbers = 0;
  for (const Own& own : passes_) numbers += own.layer->left_behind() + own.layer->output_size();
  return numbers;
}

template <class T>
Index Scan2d<T>::stepped() const {
  Index numbers = 0;
  for (const Own& own : passes_) numbers = std::max(numbers, own.layer->stepped());
  return numbers;
}

template <class T>
void Scan2d<T>::pack(const T* parameters) {
  for (Own& own : passes_) {
    settle(own);
    own.layer->pack(parameters + (own.layer->offset - this->offset));
  }
}

template <class T>
void Scan2d<T>::borrow(const Node<T>& other) {
  const auto& lender = static_cast<const Scan2d&>(other);
  for (std::size_t i = 0; i < passes_.size(); ++i) passes_[i].layer->borrow(*lender.passes_[i].layer);
}

template <class T>
void Scan2d<T>::begin() {
  for (Own& own : passes_) {
    settle(own);
    own.layer->begin();
  }
}

template <class T>
void Scan2d<T>::rest() {
  for (Own& own : passes_) own.layer->rest();
}

template <class T>
Flow<T> Scan2d<T>::lines(Lane<T>& lane, const Flow<T>& images, bool columns, const Index*& cells) const {
  Index count = 0;
  for (Index b = 0; b < images.B; ++b) count += columns ? images.images[b].width : images.images[b].height;
  Index* const offsets = lane.arena.template get<Index>(count + 1);
  std::uint32_t* const key = lane.arena.template get<std::uint32_t>(count);
  Index* const order = columns ? lane.arena.template get<Index>(images.N) : nullptr;
  Index line = 0, n = 0;
  for (Index b = 0; b < images.B; ++b) {
    const Image image = images.images[b];
    const Index here = columns ? image.width : image.height, length = columns ? image.height : image.width;
    for (Index i = 0; i < here; ++i, ++line) {
      offsets[line] = n;
      key[line] = images.key[b];
      for (Index k = 0; order && k < length; ++k) order[n + k] = images.offsets[b] + k * image.width + i;
      n += length;
    }
  }
  offsets[count] = n;
  cells = order;
  Flow<T> flow = images;
  flow.B = count;
  flow.offsets = offsets;
  flow.key = key;
  flow.images = nullptr;
  flow.token = nullptr;
  flow.ends = nullptr;
  return flow;
}

template <class T>
void Scan2d<T>::gather(const T* from, const Index* cells, Index N, Index width, T* to) {
  for (Index n = 0; n < N; ++n) std::copy_n(from + cells[n] * width, width, to + n * width);
}

template <class T>
void Scan2d<T>::scatter(const T* from, const Index* cells, Index N, Index width, T* to) {
  for (Index n = 0; n < N; ++n) std::copy_n(from + n * width, width, to + cells[n] * width);
}

template <class T>
void* Scan2d<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  Run& run = *lane.arena.template structs<Run>(1);
  run.passes = lane.arena.template structs<Ran>(static_cast<Index>(passes_.size()));
  T* const out = lane.out;
  gave = read;
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    Own& own = passes_[i];
    Ran& ran = run.passes[i];
    const bool last = i + 1 == passes_.size();
    ran.read = lines(lane, gave, own.columns, ran.cells);
    if (ran.cells) {
      ran.read.rows = lane.room(read.N * gave.width);
      gather(gave.rows, ran.cells, read.N, gave.width, ran.read.rows);
    }
    lane.out = last && !ran.cells ? out : nullptr;
    ran.kept = own.layer->run(lane, ran.read, ran.gave);
    lane.out = last ? out : nullptr;
    gave.width = ran.gave.width;
    gave.rows = ran.gave.rows;
    if (ran.cells) {
      gave.rows = lane.give(read.N * gave.width);
      scatter(ran.gave.rows, ran.cells, read.N, gave.width, gave.rows);
    }
  }
  lane.out = out;
  gave.wanted = this->common->training;
  return &run;
}

template <class T>
void Scan2d<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  const Run& run = *static_cast<Run*>(kept);
  T* drows = gave.drows;
  for (std::size_t i = passes_.size(); i-- > 0 && drows;) {
    Ran& ran = run.passes[i];
    ran.gave.drows = drows;
    if (ran.cells) {
      ran.gave.drows = lane.arena.template get<T>(read.N * ran.gave.width);
      gather(drows, ran.cells, read.N, ran.gave.width, ran.gave.drows);
    }
    ran.read.drows = nullptr;
    ran.read.wanted = i > 0 || read.wanted;
    passes_[i].layer->back(lane, ran.read, ran.gave, ran.kept);
    drows = ran.read.drows;
    if (drows && ran.cells) {
      drows = lane.arena.template get<T>(read.N * ran.read.width);
      scatter(ran.read.drows, ran.cells, read.N, ran.read.width, drows);
    }
  }
  read.drows = drows;
}

template <class T>
void Scan2d<T>::finish(T* gradient, T*, const T*) {
  for (Own& own : passes_) own.layer->finish(gradient + (own.layer->offset - this->offset), nullptr, nullptr);
}

template class Scan2d<float>;
template class Scan2d<double>;

}  // namespace tidegate
