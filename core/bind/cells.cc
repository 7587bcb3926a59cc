// The table of cells, for Python.
#include "cells/cells.h"

#include "bind/bind.h"

namespace tidegate {
namespace {

nb::object counterpart(const Counterpart& other, int gates) {
  if (!other.name) return nb::none();
  nb::list order;
  for (int i = 0; i < gates; ++i) order.append(other.order[i]);
  nb::dict found;
  found["name"] = other.name;
  found["order"] = nb::tuple(order);
  return found;
}

// The table of cells, row by row; None stands where there is nothing.
nb::list cells() {
  nb::list found;
  for (const CellTraits& traits : kTraits) {
    nb::dict cell;
    cell["name"] = traits.name;
    cell["option"] = traits.option;
    cell["gates"] = traits.gates;
    cell["letters"] = traits.letters;
    cell["tanh"] = traits.tanh;
    cell["function"] = traits.function;
    cell["carries_c"] = traits.carries_c;
    cell["shared"] = traits.shared;
    cell["keeps"] = traits.keeps;
    cell["lets_in"] = traits.lets_in;
    cell["torch"] = traits.torch;
    cell["onnx"] = counterpart(traits.onnx, traits.gates);
    cell["keras"] = counterpart(traits.keras, traits.gates);
    found.append(cell);
  }
  return found;
}

}  // namespace

void define_cells(nb::module_& m) { m.def("cells", &cells); }

}  // namespace tidegate
