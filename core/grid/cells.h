// What every cell of grids is, in one table: all that is said of one outside of its own file. Python reads it, too.
#pragma once

namespace tidegate {

constexpr int kGridGates = 5;

struct GridTraits {
  const char* name;
  const char* letters[kGridGates];  // of the gates, in their order; "g" ends in tanh, the others in a sigmoid
};

// A row for each cell. Its place in the table is what the core knows the cell by.
constexpr GridTraits kGridTraits[] = {
    {"stable", {"i", "f", "l", "g", "o"}},
    {"mdlstm", {"i", "f_x", "f_y", "g", "o"}},
};

constexpr int kGridCells = sizeof(kGridTraits) / sizeof(kGridTraits[0]);

}  // namespace tidegate
