// Networks that the core runs and trains, made of descriptions of nodes.
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind/bind.h"
#include "bind/description.h"
#include "bind/programs.h"
#include "bind/unlocked.h"
#include "nodes/attend.h"
#include "nodes/crf.h"
#include "nodes/ctc.h"
#include "nodes/decode.h"
#include "nodes/dense.h"
#include "nodes/dropout.h"
#include "nodes/flatten.h"
#include "nodes/fold.h"
#include "nodes/join.h"
#include "nodes/pool.h"
#include "nodes/scan2d.h"
#include "nodes/spectrogram.h"
#include "nodes/spell.h"
#include "nodes/split.h"
#include "nodes/take.h"
#include "nodes/tied.h"
#include "nodes/unflatten.h"
#include "nodes/waves.h"
#include "nodes/wide.h"
#include "nodes/window.h"
#include "program/optimiser.h"

namespace tidegate {
namespace {

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
  o.starts = node.get<std::vector<std::size_t>>("reads").size() > 1;
  return o;
}

constexpr std::uint32_t kFirstOfCharacters = 1 << 10;  // their nodes are numbered apart from those of the words

// Makes the nodes one after the other: some ask what they read, or who reads them.
template <class T>
class Builder {
 public:
  std::unique_ptr<Program<T>> build(nb::sequence descriptions, std::uint32_t first, Index width, Index output_size) {
    const std::size_t count = nb::len(descriptions);
    readers_.resize(count + 1);
    for (std::size_t i = 0; i < count; ++i) {
      const Description node(descriptions[i]);
      reads_.push_back(node.get<std::vector<std::size_t>>("reads"));
      for (const std::size_t flow : reads_.back()) readers_.at(flow).push_back(node.kind());
    }
    const bool images = wants_images(descriptions, reads_);
    for (std::size_t i = 0; i < count; ++i) nodes_.push_back(make(Description(descriptions[i]), i));
    auto built = std::make_unique<Program<T>>(std::move(nodes_), std::move(reads_), table_, first, width, output_size);
    built->want_images(images);
    return built;
  }

 private:
  std::unique_ptr<Node<T>> make(const Description& node, std::size_t index) {
    const std::string kind = node.kind();
    const std::size_t read = reads_[index].front();
    auto* const recurrent = read ? dynamic_cast<Recurrent<T>*>(nodes_[read - 1].get()) : nullptr;
    if (kind == "embed") {
      const bool alone = readers_[index + 1] == std::vector<std::string>{"recurrent"};
      const bool unread = alone && node.get<Index>("beside") == 0;
      auto made = std::make_unique<Embed<T>>(node.get<Index>("vocabulary_size"), node.get<Index>("size"),
                                             node.get<Index>("beside"), node.get<double>("dropout"), unread);
      table_ = made.get();
      unread_ = unread;
      return made;
    }
    if (kind == "recurrent") {
      const bool looks_up = unread_ && read && nodes_[read - 1].get() == table_;
      return std::make_unique<Recurrent<T>>(recurrent_options(node), looks_up ? table_ : nullptr);
    }
    if (kind == "pool") {
      std::vector<PoolMode> modes;
      for (const int mode : node.get<std::vector<int>>("modes")) modes.push_back(static_cast<PoolMode>(mode));
      return std::make_unique<Pooling<T>>(std::move(modes), recurrent);
    }
    if (kind == "dense") {
      return std::make_unique<Dense<T>>(node.get<Index>("in_features"), node.get<Index>("out_features"),
                                        static_cast<Activation>(node.get<int>("activation")));
    }
    if (kind == "dropout") return std::make_unique<Dropout<T>>(node.get<double>("p"), node.get<bool>("per_sequence"));
    if (kind == "take") return std::make_unique<Take<T>>(node.get<bool>("target"));
    if (kind == "attend") {
      return std::make_unique<Attend<T>>(static_cast<Score>(node.get<int>("score")), node.get<Index>("query_size"),
                                         node.get<Index>("memory_size"), node.get<Index>("size"));
    }
    if (kind == "join") return std::make_unique<Join<T>>(reads_[index].size(), node.get<Index>("width"));
    if (kind == "split") {
      return std::make_unique<Split<T>>(node.get<Index>("channels"), node.get<Index>("size"),
                                        node.get<Index>("shared"));
    }
    if (kind == "decode") {
      return std::make_unique<Decode<T>>(node.get<Index>("steps"), node.get<Index>("channels"), node.get<Index>("size"),
                                         recurrent);
    }
    if (kind == "tied") return std::make_unique<Tied<T>>(*table_);
    if (kind == "crf") return std::make_unique<CrfNode<T>>(node.get<Index>("tags"));
    if (kind == "ctc") return std::make_unique<CtcNode<T>>();
    if (kind == "window") return std::make_unique<Window<T>>(node.get<Index>("width"), node.get<Index>("stride"));
    if (kind == "spectrogram") return spectrogram(node);
    if (kind == "fold") return std::make_unique<Fold<T>>(node.get<Index>("rows"), node.get<Index>("columns"));
    if (kind == "scan2d") return scan2d(node);
    if (kind == "waves") {
      const GridOptions options{node.get<int>("cell"), node.get<int>("directions"), node.get<Index>("input_size"),
                                node.get<Index>("hidden_size")};
      return std::make_unique<Waves<T>>(options, static_cast<Merge>(node.get<int>("merge")));
    }
    if (kind == "unflatten") {
      return std::make_unique<Unflatten<T>>(node.get<bool>("along_y"), node.get<Index>("cells"));
    }
    if (kind == "flatten") {
      return std::make_unique<Flatten<T>>(node.get<bool>("along_y"), static_cast<Flattening>(node.get<int>("mode")),
                                          node.get<Index>("cells"));
    }
    if (kind == "spell") return spell(node);
    if (kind == "wide") return std::make_unique<Wide<T>>(node.get<Index>("features"), node.get<Index>("outputs"));
    throw nb::value_error(("the core has no node of kind " + kind).c_str());
  }

  std::unique_ptr<Node<T>> spectrogram(const Description& node) {
    const auto basis = node.get<In<double>>("basis"), mel = node.get<In<double>>("mel");
    const auto bins = static_cast<Index>(mel.shape(0)), bands = static_cast<Index>(mel.shape(1));
    const Frames frames{static_cast<Index>(basis.shape(0)), node.get<Index>("hop")};
    return std::make_unique<Spectrogram<T>>(frames, bins, bands, basis.data(), mel.data(), node.get<double>("floor"));
  }

  std::unique_ptr<Node<T>> scan2d(const Description& node) {
    std::vector<typename Scan2d<T>::Pass> passes;
    for (const nb::handle pass : node.get<nb::sequence>("passes")) {
      const Description fields(pass);
      passes.push_back({recurrent_options(fields), fields.get<bool>("columns")});
    }
    return std::make_unique<Scan2d<T>>(passes);
  }

  std::unique_ptr<Node<T>> spell(const Description& node) {
    const Description words(node.get<nb::dict>("words"));
    auto table = std::make_unique<Embed<T>>(words.get<Index>("vocabulary_size"), words.get<Index>("size"), 0,
                                            words.get<double>("dropout"), false);
    table_ = table.get();
    auto characters = Builder<T>().build(node.get<nb::sequence>("characters"), kFirstOfCharacters, 0,
                                         node.get<Index>("width") - words.get<Index>("size"));
    return std::make_unique<Spell<T>>(std::move(table), std::move(characters));
  }

  std::vector<std::unique_ptr<Node<T>>> nodes_;
  Reads reads_;
  std::vector<std::vector<std::string>> readers_;  // of each flow, their kinds
  Embed<T>* table_ = nullptr;
  bool unread_ = false;  // it is an embedding that leaves its rows to be looked up by the one node that reads them
};

// Rows that the first nodes give of sequence b; `cut`: of pairs, rows of each source, or null.
template <class T>
Index rows_of(const Program<T>& program, const Index* offsets, const Index* cut, Index b, std::size_t last) {
  const Image* const image = program.images() ? program.images() + b : nullptr;
  return program.rows(offsets[b + 1] - offsets[b], last, cut ? cut[b] : 0, image);
}

// Runs nodes first .. last - 1.
template <class T>
void run(Program<T>& program, nb::handle values, In<Index> offsets, std::size_t first, std::size_t last, Array<T> out,
         int threads) {
  const Sequenced<T> batch = sequenced<T>(program, values, offsets);
  Index rows = first == 0 ? 0 : batch.N;
  for (Index b = 0; first == 0 && b < batch.B; ++b) rows += rows_of(program, offsets.data(), batch.cut, b, last);
  if (rows != static_cast<Index>(out.shape(0))) throw nb::value_error("the output has another number of rows");
  const Alone<T> alone(program);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = program.run(batch, {first, last}, threads, out.data(), bad_token); });
  check(status, bad_token);
}

template <class T>
void record(Program<T>& program, nb::handle values, In<Index> offsets, int threads) {
  const Sequenced<T> batch = sequenced<T>(program, values, offsets);
  const Alone<T> alone(program);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = program.record(batch, threads, bad_token); });
  check(status, bad_token);
}

// An array of what a program holds, to be read, which lives as long as the array; null: None.
template <class T>
nb::object held(const T* data, std::initializer_list<std::size_t> shape, nb::handle program) {
  return data ? nb::cast(nb::ndarray<nb::numpy, const T, nb::c_contig>(data, shape, program)) : nb::none();
}

// What node `index` read where a batch was recorded, [N, width], or None where those are rows of a table.
template <class T>
nb::object rows(nb::handle_t<Program<T>> self, std::size_t index) {
  const Flow<T>& flow = nb::cast<Program<T>&>(self).flow(index);
  return held<T>(flow.rows, {std::size_t(flow.N), std::size_t(flow.width)}, self);
}

// (h, gates, memo, hn, cn) of a layer of a recurrent node where a batch was recorded, the last two by direction.
template <class T>
nb::tuple layer(nb::handle_t<Program<T>> self, std::size_t index, int layer) {
  auto& program = nb::cast<Program<T>&>(self);
  auto& node = dynamic_cast<Recurrent<T>&>(program.node(index));
  const auto seen = node.seen(program.kept(index), layer);
  const Flow<T>& gave = program.flow(index + 1);
  const std::size_t D = node.directions(), N = gave.N, B = gave.B, H = node.options().hidden_size;
  const std::size_t gates = kTraits[node.options().cell].gates;
  nb::list hn, cn;
  for (std::size_t d = 0; d < D; ++d) {
    const std::size_t at = layer * D + d;
    hn.append(held<T>(gave.ends->h[at], {B, H}, self));
    if (gave.ends->c) cn.append(held<T>(gave.ends->c[at], {B, H}, self));
  }
  return nb::make_tuple(held<T>(seen.h, {N, D * H}, self), held<T>(seen.gates, {D, N, gates * H}, self),
                        held<T>(seen.memo, {D, N, H}, self), hn, cn);
}

// How much each row attended to each of its sequence where a batch was recorded, those of all sequences end to end, and
// where those of each begin, [B + 1].
template <class T>
nb::tuple attention(nb::handle_t<Program<T>> self, std::size_t index) {
  auto& program = nb::cast<Program<T>&>(self);
  const auto seen = dynamic_cast<Attend<T>&>(program.node(index)).seen(program.kept(index));
  const std::size_t B = program.flow(index + 1).B;
  return nb::make_tuple(held<T>(seen.weights, {std::size_t(seen.begin[B])}, self),
                        nb::ndarray<nb::numpy, const Index, nb::c_contig>(seen.begin, {B + 1}, self));
}

// What a recurrent node keeps on the way back: (dh, dc) of every step, by layer and direction, or none of all; and
// which way of its last layer is followed, -1 for both.
template <class T>
void look(Program<T>& program, std::size_t index, nb::sequence steps, int way) {
  const Alone<T> alone(program);
  typename Recurrent<T>::Look look;
  for (const nb::handle step : steps) look.steps.push_back({pointer<T>(step[0]), pointer<T>(step[1])});
  look.way = way;
  dynamic_cast<Recurrent<T>&>(program.node(index)).look(std::move(look));
}

template <class T>
void back(Program<T>& program, In<T> doutput, nb::object dinput, int threads) {
  T* const to = pointer<T>(dinput);
  const Alone<T> alone(program);
  Status status;
  unlocked(true, [&] { status = program.back(doutput.data(), threads, to); });
  check(status, 0);
}

// begin [B + 1]: where the rows that the first nodes give of each sequence begin; cut [B] of pairs, else None.
template <class T>
void find_rows(Program<T>& program, In<Index> offsets, nb::object cut, std::size_t last, Array<Index> begin) {
  const Index* const sources = input<Index>(cut);
  const auto B = static_cast<Index>(offsets.shape(0)) - 1;
  begin.data()[0] = 0;
  for (Index b = 0; b < B; ++b) {
    begin.data()[b + 1] = begin.data()[b] + rows_of(program, offsets.data(), sources, b, last);
  }
}

template <class T>
void gradient(Program<T>& program, nb::handle values, In<Index> offsets, Loss<T>& loss, Array<T> gradient,
              Array<double> losses, int threads) {
  const Sequenced<T> batch = sequenced<T>(program, values, offsets);
  const Alone<T> alone(program);
  Status status;
  Index bad_token = 0;
  unlocked(true, [&] { status = program.gradient(batch, loss, threads, gradient.data(), losses.data(), bad_token); });
  check(status, bad_token);
}

// What a recurrent node begins with and where it leaves what it ends in; each may be None.
template <class T>
void carry(Program<T>& program, std::size_t node, nb::object h, nb::object c, nb::object hn, nb::object cn) {
  const Alone<T> alone(program);
  const Index sequences = h.is_none() ? 0 : static_cast<Index>(nb::cast<In<T>>(h, false).shape(1));
  auto& recurrent = dynamic_cast<Recurrent<T>&>(program.node(node));
  recurrent.carry({sequences, input<T>(h), input<T>(c), pointer<T>(hn), pointer<T>(cn)});
}

// (low, high, steep) to look at every batch from now on, None to look no more.
template <class T>
void watch(Program<T>& program, std::size_t node, nb::object flat) {
  const Alone<T> alone(program);
  auto& recurrent = dynamic_cast<Recurrent<T>&>(program.node(node));
  if (flat.is_none()) return recurrent.gauge.watch(nullptr);
  const auto [low, high, steep] = nb::cast<std::array<T, 3>>(flat);
  const Flat<T> points{low, high, steep};
  recurrent.gauge.watch(&points);
}

// Counts of saturated values by direction and gate, of how many values, and the reach of each sequence by direction.
template <class T>
nb::tuple health(Program<T>& program, std::size_t node) {
  const auto found = dynamic_cast<Recurrent<T>&>(program.node(node)).gauge.health();
  return nb::make_tuple(found.saturated, found.values, found.reach);
}

template <class T>
void read_spellings(Program<T>& program, nb::handle values, In<Index> offsets, In<std::int64_t> spelling) {
  const Alone<T> alone(program);
  dynamic_cast<Spell<T>&>(program.node(0)).read(sequenced<T>(values, offsets), spelling.data());
}

// What the last node adds to each sequence: ids and values of its features, those of sequence b from offsets[b] on.
template <class T>
void read_features(Program<T>& program, In<std::int32_t> ids, In<T> values, In<Index> offsets) {
  const Alone<T> alone(program);
  const auto rows = static_cast<Index>(offsets.shape(0)) - 1;
  dynamic_cast<Wide<T>&>(program.node(program.size() - 1)).read({rows, offsets.data(), ids.data(), values.data()});
}

// sizes [B, 2]: height and width of the images of the batch that comes next.
template <class T>
void read_images(Program<T>& program, In<Index> sizes) {
  static_assert(sizeof(Image) == 2 * sizeof(Index));
  const Alone<T> alone(program);
  program.read_images(reinterpret_cast<const Image*>(sizes.data()));
}

// y [rows, K] = bias + x @ w of sparse rows.
template <class T>
void sparse(In<std::int32_t> ids, In<T> values, In<Index> offsets, In<T> w, In<T> bias, Array<T> y, int threads) {
  const Sparse<T> x{static_cast<Index>(offsets.shape(0)) - 1, offsets.data(), ids.data(), values.data()};
  const auto K = static_cast<Index>(w.shape(1));
  unlocked(true, [&] { sparse_rows(x, w.data(), bias.data(), K, threads, y.data()); });
}

template <class T>
void sum_squares(In<T> gradient, In<Index> begin, Array<double> squares, int threads) {
  const Index count = static_cast<Index>(begin.shape(0)) - 1;
  unlocked(false, [&] { sums_of_squares(gradient.data(), begin.data(), count, threads, squares.data()); });
}

// options: scale, rate, beta1, beta2, epsilon, correction1, correction2
template <class T>
void update(int rule, Array<T> parameter, In<T> gradient, nb::object first, nb::object second, In<Index> begin,
            In<double> decay, const std::array<double, 7>& options, bool nesterov, bool decoupled, int threads) {
  Update<T> p{};
  p.rule = static_cast<UpdateRule>(rule);
  p.parameter = parameter.data();
  p.gradient = gradient.data();
  p.first = pointer<T>(first);
  p.second = pointer<T>(second);
  T* const fields[] = {&p.scale, &p.rate, &p.beta1, &p.beta2, &p.epsilon, &p.correction1, &p.correction2};
  for (int i = 0; i < 7; ++i) *fields[i] = static_cast<T>(options[i]);
  p.nesterov = nesterov;
  p.decoupled = decoupled;
  const Index count = static_cast<Index>(begin.shape(0)) - 1;
  unlocked(false, [&] { update_all(p, begin.data(), decay.data(), count, threads); });
}

template <class T>
void define(nb::module_& m, const char* name) {
  nb::class_<Program<T>>(m, name)
      .def_static(
          "build",
          [](nb::sequence nodes, Index width, Index output_size) {
            return Builder<T>().build(nodes, 0, width, output_size);
          },
          "nodes"_a, "width"_a, "output_size"_a)
      .def_prop_ro("parameters", &Program<T>::parameters)
      .def_prop_ro("table_size", &Program<T>::table_size)
      .def("find_rows", &find_rows<T>, "offsets"_a.noconvert(), "cut"_a.none(), "last"_a, "begin"_a.noconvert())
      .def(
          "pack",
          [](Program<T>& self, In<T> table, In<T> dense, int use, std::uint64_t seed, std::uint32_t step) {
            const Alone<T> alone(self);
            self.pack(table.data(), dense.data(), static_cast<Use>(use), {seed, step});
          },
          "table"_a.noconvert(), "dense"_a.noconvert(), "use"_a, "seed"_a, "step"_a)
      .def(
          "borrow",
          [](Program<T>& self, const Program<T>& other) {
            const Alone<T> alone(self);
            self.borrow(other);
          },
          "other"_a, nb::keep_alive<1, 2>())
      .def("carry", &carry<T>, "node"_a, "h"_a.none(), "c"_a.none(), "hn"_a.none(), "cn"_a.none())
      .def("watch", &watch<T>, "node"_a, "flat"_a.none())
      .def("health", &health<T>, "node"_a)
      .def("read_features", &read_features<T>, "ids"_a.noconvert(), "values"_a.noconvert(), "offsets"_a.noconvert())
      .def("read_images", &read_images<T>, "sizes"_a.noconvert())
      .def("read_spellings", &read_spellings<T>, "values"_a, "offsets"_a.noconvert(), "spelling"_a.noconvert())
      .def("run", &run<T>, "values"_a, "offsets"_a.noconvert(), "first"_a, "last"_a, "out"_a.noconvert(), "threads"_a)
      .def("record", &record<T>, "values"_a, "offsets"_a.noconvert(), "threads"_a, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 3>())
      .def("recorded_rows", &rows<T>, "node"_a)
      .def("recorded_layer", &layer<T>, "node"_a, "layer"_a)
      .def("recorded_attention", &attention<T>, "node"_a)
      .def("look", &look<T>, "node"_a, "steps"_a, "way"_a)
      .def("back", &back<T>, "doutput"_a.noconvert(), "dinput"_a.none(), "threads"_a)
      .def("gradient", &gradient<T>, "values"_a, "offsets"_a.noconvert(), "loss"_a, "gradient"_a.noconvert(),
           "losses"_a.noconvert(), "threads"_a);
  m.def("sparse", &sparse<T>, "ids"_a.noconvert(), "values"_a.noconvert(), "offsets"_a.noconvert(), "w"_a.noconvert(),
        "bias"_a.noconvert(), "y"_a.noconvert(), "threads"_a);
  m.def("sum_squares", &sum_squares<T>, "gradient"_a.noconvert(), "begin"_a.noconvert(), "squares"_a.noconvert(),
        "threads"_a);
  m.def("update", &update<T>, "rule"_a, "parameter"_a.noconvert(), "gradient"_a.noconvert(), "first"_a.none(),
        "second"_a.none(), "begin"_a.noconvert(), "decay"_a.noconvert(), "options"_a, "nesterov"_a, "decoupled"_a,
        "threads"_a);
}

}  // namespace

void define_program(nb::module_& m) {
  define<float>(m, "Program32");
  define<double>(m, "Program64");
}

}  // namespace tidegate
