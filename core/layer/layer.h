// A recurrent layer of one or two directions over a ragged batch, forward and backward: packs weights, projects the
// input, cuts the work into tasks. Knows arrays in torch's layout; shapes are checked by the caller.
#pragma once

#include "tidegate.h"

namespace tidegate {

enum class Status { kOk, kOutOfMemory, kBadToken };

template <class T>
struct Direction {
  const T* w_ih;  // [G*H, C]
  const T* w_hh;  // [G*H, H]
  const T* b_ih;  // [G*H] or null
  const T* b_hh;  // [G*H] or null
  bool reverse;
  const T* h0;    // [B, H] or null
  const T* c0;    // [B, H] or null
  const T* mask;  // [B, H] or null
};

template <class T>
struct Kept {
  T* gates;  // [N, G*H] or null
  T* memo;   // [N, H] or null
};

// The input of a layer: dense rows, or the ids of rows of a table.
template <class T>
struct LayerInput {
  Cell cell;
  Index N, B, C, H;
  const Index* offsets;       // [B + 1]
  const T* x;                 // [N, C], or the table [V, C]
  const std::int32_t* ids32;  // [N] or null
  const std::int64_t* ids64;  // [N] or null
  Index V;
  int directions;
  Direction<T> direction[2];
  int threads;
  bool by_step = false;  // forward, of sequences of one length: rows are [T, B], not end to end
};

// What a caller who keeps them has ready of a direction: its weights as the forward kernels read them.
template <class T>
struct PackedDirection {
  const T *w_ih, *w_hh;
  const T* bias;        // [G*H] that every projected row starts from
  const T* bias_apart;  // [H] of the gate that keeps its recurrent part apart, or null
};

template <class T>
struct LayerForward {
  LayerInput<T> in;
  T* h;      // [N, directions * H]
  T* hn[2];  // [B, H]
  T* cn[2];  // [B, H] of a cell that carries c
  Kept<T> kept[2];
  Index bad_token;  // out: position of an id outside the table, with kBadToken
};

// Gradients of the state that leaves each step.
template <class T>
struct StepGradients {
  T* h;  // [N, H] or null: not wanted
  T* c;  // [N, H] of a cell that carries c
};

template <class T>
struct LayerGradients {
  T* w_ih;  // [G*H, C]
  T* w_hh;  // [G*H, H]
  T* b_ih;  // [G*H]
  T* b_hh;  // [G*H]
  T* h0;    // [B, H]
  T* c0;    // [B, H] of a cell that carries c
};

template <class T>
struct LayerBackward {
  LayerInput<T> in;
  const T* h;       // [N, directions * H]
  const T* dh;      // [N, directions * H]
  const T* dhn[2];  // [B, H] or null
  const T* dcn[2];  // [B, H] or null
  Kept<T> kept[2];
  bool overwrite;  // the gradients of what is kept may take its place
  T* dx;           // [N, C], or the gradient of the table [V, C], zeroed by the caller; null: not wanted
  LayerGradients<T> gradients[2];
  StepGradients<T> steps[2];
};

template <class T>
Status layer_forward(LayerForward<T>& p);

// The same with weights that are packed already, whose directions say of themselves only how they begin and which way
// they run. `projected` [*, G*H]: the input of each direction, token n in row row_of[n]; null where `in.x` is to be
// projected.
template <class T>
void packed_forward(LayerForward<T>& p, const PackedDirection<T>* packed, const T* const* projected,
                    const std::int32_t* row_of);

template <class T>
Status layer_backward(LayerBackward<T>& p);

// y [rows, columns] = activation(x [rows, K] @ w + bias), where w is [columns, K] transposed, or [K, columns] as it is.
template <class T>
Status dense(const T* x, const T* w, bool as_it_is, const T* bias, T* y, Index rows, Index K, Index columns,
             Activation activation, int threads);

}  // namespace tidegate
