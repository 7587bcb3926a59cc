// Networks that the core runs and trains, made of descriptions of nodes.
#include "program/program.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind/bind.h"
#include "bind/unlocked.h"
#include "losses/cross_entropy.h"
#include "nodes/dense.h"
#include "nodes/dropout.h"
#include "nodes/embed.h"
#include "nodes/pool.h"
#include "nodes/recurrent.h"

namespace tidegate {
namespace {

// A node as Python describes it: its fields by name.
class Description {
 public:
  explicit Description(nb::handle fields) : fields_(nb::cast<nb::dict>(fields)) {}
  template <class V>
  V get(const char* name) const {
    return nb::cast<V>(fields_[name]);
  }
  std::string kind() const { return get<std::string>("kind"); }

 private:
  nb::dict fields_;
};

RecurrentOptions recurrent_options(const Description& node) {
  RecurrentOptions o{};
  o.cell = static_cast<Cell>(node.get<int>("cell"));
  o.input_size = node.get<Index>("input_size");
  o.hidden_size = node.get<Index>("hidden_size");
  o.layers = node.get<int>("num_layers");
  o.bidirectional = node.get<bool>("bidirectional");
  o.reverse = node.get<bool>("reverse");
  o.bias = node.get<bool>("bias");
  o.merge = static_cast<Merge>(node.get<int>("merge"));
  o.dropout = node.get<double>("dropout");
  o.recurrent_dropout = node.get<double>("recurrent_dropout");
  o.weight_dropout = node.get<double>("weight_dropout");
  return o;
}

// Makes the nodes one after the other: some ask what stands beside them.
template <class T>
class Builder {
 public:
  std::unique_ptr<Program<T>> build(nb::sequence descriptions, Index width, Index output_size) {
    const std::size_t count = nb::len(descriptions);
    for (std::size_t i = 0; i < count; ++i) {
      const bool before_recurrent = i + 1 < count && Description(descriptions[i + 1]).kind() == "recurrent";
      nodes_.push_back(make(Description(descriptions[i]), before_recurrent));
    }
    return std::make_unique<Program<T>>(std::move(nodes_), table_, width, output_size);
  }

 private:
  std::unique_ptr<Node<T>> make(const Description& node, bool before_recurrent) {
    const std::string kind = node.kind();
    if (kind == "embed") {
      auto made = std::make_unique<Embed<T>>(node.get<Index>("vocabulary_size"), node.get<Index>("size"),
                                             node.get<double>("dropout"), before_recurrent);
      table_ = made.get();
      unread_ = before_recurrent;
      return made;
    }
    if (kind == "recurrent") {
      auto made = std::make_unique<Recurrent<T>>(recurrent_options(node), unread_ ? table_ : nullptr);
      unread_ = false;
      recurrent_ = made.get();
      return made;
    }
    if (kind == "pool") {
      std::vector<PoolMode> modes;
      for (const int mode : node.get<std::vector<int>>("modes")) modes.push_back(static_cast<PoolMode>(mode));
      return std::make_unique<Pooling<T>>(std::move(modes), recurrent_);
    }
    if (kind == "dense") {
      return std::make_unique<Dense<T>>(node.get<Index>("in_features"), node.get<Index>("out_features"),
                                        static_cast<Activation>(node.get<int>("activation")));
    }
    if (kind == "dropout") return std::make_unique<Dropout<T>>(node.get<double>("p"), node.get<bool>("per_sequence"));
    throw nb::value_error(("the core has no node of kind " + kind).c_str());
  }

  std::vector<std::unique_ptr<Node<T>>> nodes_;
  Embed<T>* table_ = nullptr;
  Recurrent<T>* recurrent_ = nullptr;
  bool unread_ = false;  // the node before is an embedding that leaves its rows to be read
};

template <class T>
Sequenced<T> sequenced(nb::handle values, In<Index> offsets) {
  Sequenced<T> batch{};
  batch.B = static_cast<Index>(offsets.shape(0)) - 1;
  batch.N = offsets.data()[batch.B];
  batch.offsets = offsets.data();
  const auto array = nb::cast<nb::ndarray<nb::c_contig, nb::device::cpu, nb::ro>>(values, false);
  if (array.dtype() == nb::dtype<std::int32_t>()) {
    batch.ids32 = static_cast<const std::int32_t*>(array.data());
  } else if (array.dtype() == nb::dtype<std::int64_t>()) {
    batch.ids64 = static_cast<const std::int64_t*>(array.data());
  } else {
    batch.x = static_cast<const T*>(array.data());
  }
  return batch;
}

template <class T>
void run(Program<T>& program, nb::handle values, In<Index> offsets, Array<T> out, int threads) {
  const Sequenced<T> batch = sequenced<T>(values, offsets);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = program.run(batch, threads, out.data(), bad_token); });
  check(status, bad_token);
}

template <class T>
void gradient(Program<T>& program, In<T> parameters, nb::handle values, In<Index> offsets, const Loss<T>& loss,
              std::uint64_t seed, std::uint32_t step, Array<T> gradient, Array<double> losses, int threads) {
  const Sequenced<T> batch = sequenced<T>(values, offsets);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] {
    status = program.gradient(parameters.data(), batch, loss, {seed, step}, threads, gradient.data(), losses.data(),
                              bad_token);
  });
  check(status, bad_token);
}

template <class T>
void define(nb::module_& m, const char* program, const char* loss, const char* cross_entropy) {
  nb::class_<Program<T>>(m, program)
      .def_static(
          "build", [](nb::sequence nodes, Index width, Index output_size) {
            return Builder<T>().build(nodes, width, output_size);
          },
          "nodes"_a, "width"_a, "output_size"_a)
      .def_prop_ro("parameters", &Program<T>::parameters)
      .def("load", [](Program<T>& self, In<T> parameters) { self.load(parameters.data()); }, "parameters"_a,
           nb::keep_alive<1, 2>())
      .def("run", &run<T>, "values"_a, "offsets"_a, "out"_a.noconvert(), "threads"_a)
      .def("gradient", &gradient<T>, "parameters"_a.noconvert(), "values"_a, "offsets"_a, "loss"_a, "seed"_a, "step"_a,
           "gradient"_a.noconvert(), "losses"_a.noconvert(), "threads"_a);
  nb::class_<Loss<T>>(m, loss);
  nb::class_<CrossEntropy<T>, Loss<T>>(m, cross_entropy)
      .def("__init__",
           [](CrossEntropy<T>* self, In<std::int64_t> labels, In<Index> begin, In<double> weight) {
             new (self) CrossEntropy<T>(labels.data(), begin.data(), weight.data());
           },
           "labels"_a.noconvert(), "begin"_a.noconvert(), "weight"_a.noconvert(), nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>());
}

}  // namespace

void define_program(nb::module_& m) {
  define<float>(m, "Program32", "Loss32", "CrossEntropy32");
  define<double>(m, "Program64", "Loss64", "CrossEntropy64");
}

}  // namespace tidegate
