#include "stream.h"

#include "batch.h"
#include "dispatch.h"
#include "pack.h"
#include "threads.h"

namespace tidegate {

template <class T>
Stream<T>::Stream(Cell cell, Index B, Index C, Index H, const Direction<T>& direction)
    : cell_(cell), B_(B), C_(C), H_(H) {
  const Index G = kGates[cell], GH = G * H, wide = padded<T>(GH), units = padded<T>(B * H);
  const Index numbers = C * wide + H * G * padded<T>(H) + wide + padded<T>(H) + B * wide + 2 * units;
  T* at = memory_.get<T>(numbers + (2 * B * sizeof(Index) + B * sizeof(std::int32_t)) / sizeof(T) + 1);
  const auto take = [&](Index count) {
    T* const begin = at;
    at += count;
    return begin;
  };
  w_ih_ = take(C * wide);
  w_hh_ = take(H * G * padded<T>(H));
  bias_ = take(wide);
  bias_n_ = take(padded<T>(H));
  projected_ = take(B * wide);
  h_ = take(units);
  c_ = take(units);
  start_ = reinterpret_cast<Index*>(at);
  length_ = start_ + B;
  order_ = reinterpret_cast<std::int32_t*>(length_ + B);
  pack_columns(direction.w_ih, C, GH, Index(1), C, w_ih_);
  pack_recurrent(cell, direction.w_hh, H, w_hh_);
  add_biases(cell, direction, H, bias_);
  copy_or_zero(direction.b_hh && cell == kGru ? direction.b_hh + 2 * H : nullptr, H, bias_n_);
  copy_or_zero(direction.h0, B * H, h_);
  copy_or_zero(direction.c0, B * H, c_);
  std::iota(start_, start_ + B, 0);
  std::fill(length_, length_ + B, 1);
  std::iota(order_, order_ + B, 0);
}

template <class T>
void Stream<T>::step(const T* x, T* h, int threads) {
  const Kernels<T>& k = kernels<T>();
  const Index GH = kGates[cell_] * H_;
  advance(projected_, nullptr, h, GH * (H_ + C_), threads, [&](Index column, Index end, Index first, Index last) {
    k.linear({x, C_, nullptr, w_ih_ + column * C_, C_, end - column, bias_ + column, projected_ + column, GH, nullptr,
              false, kIdentity},
             first, last);
  });
}

template <class T>
void Stream<T>::keep_table(const T* table, Index V, int threads) {
  const Kernels<T>& k = kernels<T>();
  const Index GH = kGates[cell_] * H_;
  table_ = table_memory_.template get<T>(V * GH);
  V_ = V;
  const Linear<T> run{table, C_, nullptr, w_ih_, C_, GH, bias_, table_, GH, nullptr, false, kIdentity};
  parallel(blocks(V, kTileRows), worthwhile(V * GH * C_, threads),
           [&](Index task) { k.linear(run, task * kTileRows, std::min(V, (task + 1) * kTileRows)); });
}

template <class T>
void Stream<T>::step_tokens(const std::int32_t* tokens, T* h, int threads) {
  advance(table_, tokens, h, kGates[cell_] * H_ * H_, threads, [](Index, Index, Index, Index) {});
}

template <class T>
template <class F>
void Stream<T>::advance(const T* input, const std::int32_t* row, T* h, Index weights, int threads, const F& project) {
  const Kernels<T>& k = kernels<T>();
  const Index GH = kGates[cell_] * H_, size = cell_scratch<T>(H_);
  const CellForward<T> run{
      {start_, length_, order_, false}, H_,      input, GH, row,     w_hh_,   bias_n_, h_,
      cell_ == kLstm ? c_ : nullptr,    nullptr, h,     H_, nullptr, nullptr, h_,      cell_ == kLstm ? c_ : nullptr};
  const int members = sharers<T>(H_, weights, blocks(B_, 6), threads);
  if (members > 1 && B_ <= kTileRows) {
    T* const memory = workspace().team.template get<T>(members * size);
    const bool done = team(members, [&](Index member, Meeting& meeting) {
      project(share_begin<T>(GH, member, members), share_begin<T>(GH, member + 1, members), 0, B_);
      meeting.wait();
      k.cell_forward[cell_](run, 0, B_, share<T>(H_, member, members, meeting), memory + member * size);
    });
    if (done) return;
  }
  parallel(blocks(B_, kTileRows), worthwhile(B_ * weights, threads), [&](Index task) {
    const Index first = task * kTileRows, last = std::min(B_, first + kTileRows);
    project(0, GH, first, last);
    k.cell_forward[cell_](run, first, last, Units{0, H_, nullptr, nullptr}, scratch<T>(size));
  });
}

template class Stream<float>;
template class Stream<double>;

}  // namespace tidegate
