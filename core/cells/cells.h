// What every cell is, in one table: all that is said of a cell outside of its own file. Python reads it, too.
#pragma once

namespace tidegate {

constexpr int kMostGates = 4;

// The same cell in another library. Place i of a matrix over there holds our gate order[i].
struct Counterpart {
  const char* name;  // null: that library has no such cell
  int order[kMostGates];
};

struct CellTraits {
  const char* name;
  const char* option;    // what the parameter `cell` of a task calls it
  int gates;             // values that the input is projected to, for each hidden unit
  const char* letters;   // of the gates, in our order, which is torch's; empty for a cell that has but its state
  const char* tanh;      // letters of the gates that end in tanh; the others end in a sigmoid
  const char* function;  // what a cell without gates applies: "tanh" or "relu"; null for one with gates
  bool carries_c;        // a cell state beside the hidden state; `memo` is that of every step
  // So many gates add what the input and the state before say, so that one gradient and the sum of two biases serve
  // both. The gate after them keeps its recurrent part and its bias apart: `memo` is that part, and has a gradient.
  int shared;
  int keeps;          // the gate that says how much of the state before is kept; -1: there is none
  int lets_in;        // the gate that says how much of the candidate comes in; -1: there is none
  const char* torch;  // its mode in torch.nn; null: it is not there
  Counterpart onnx, keras;

  constexpr bool gated() const { return letters[0] != 0; }
  // Whether the state of a cell without gates is a tanh.
  constexpr bool bounded() const { return function && function[0] == 't'; }
  constexpr bool ends_in_tanh(int gate) const {
    for (const char* letter = tanh; *letter; ++letter) {
      if (*letter == letters[gate]) return true;
    }
    return false;
  }
  constexpr bool one_apart() const { return shared < gates; }
};

constexpr CellTraits rnn_traits(const char* name, const char* option, const char* function, const char* torch) {
  CellTraits t{};
  t.name = name;
  t.option = option;
  t.gates = 1;
  t.letters = t.tanh = "";
  t.function = function;
  t.shared = 1;
  t.keeps = t.lets_in = -1;
  t.torch = torch;
  t.onnx = {"RNN", {0}};
  t.keras = {"SimpleRNN", {0}};
  return t;
}

// A row for each cell. Its place in the table is what the core knows the cell by.
constexpr CellTraits kTraits[] = {
    rnn_traits("rnn_tanh", "rnn", "tanh", "RNN_TANH"),
    rnn_traits("rnn_relu", "rnn_relu", "relu", "RNN_RELU"),
    [] {
      CellTraits t{};
      t.name = t.option = "lstm";
      t.gates = 4;
      t.letters = "ifgo";
      t.tanh = "g";
      t.carries_c = true;
      t.shared = 4;
      t.keeps = 1;
      t.lets_in = 0;
      t.torch = "LSTM";
      t.onnx = {"LSTM", {0, 3, 1, 2}};  // i o f c
      t.keras = {"LSTM", {0, 1, 2, 3}};
      return t;
    }(),
    [] {
      CellTraits t{};
      t.name = t.option = "gru";
      t.gates = 3;
      t.letters = "rzn";
      t.tanh = "n";
      t.shared = 2;
      t.keeps = 1;
      t.lets_in = -1;
      t.torch = "GRU";
      t.onnx = {"GRU", {1, 0, 2}};   // z r h
      t.keras = {"GRU", {1, 0, 2}};  // z r h
      return t;
    }(),
};

constexpr int kCells = sizeof(kTraits) / sizeof(kTraits[0]);

// A place in the table.
enum Cell : int {};

// The cell of a name; a name that is not in the table does not compile where the answer must be a constant.
constexpr Cell cell_named(const char* name) {
  int cell = 0;
  while (true) {
    const char *a = kTraits[cell].name, *b = name;
    while (*a && *a == *b) ++a, ++b;
    if (*a == *b) return static_cast<Cell>(cell);
    ++cell;
  }
}

}  // namespace tidegate
