// What a node of a network is to the program that runs it, and what passes between two nodes.
#pragma once

#include <memory>

#include "grid/image.h"
#include "layer/layer.h"
#include "machine/threads.h"
#include "machine/workspace.h"
#include "program/arena.h"
#include "program/draw.h"
#include "program/live.h"

namespace tidegate {

// What one sequence of a batch has become: so many sequences, and rows of all of them. Of pairs that are not parted
// yet, the first `source` rows are those of the source; of an image that is one still, its size.
struct Extent {
  Index sequences, rows, source;
  Image image;
};

// The states in which a recurrent node left its sequences, by layer and direction, and their gradients.
template <class T>
struct Ends {
  int count = 0;  // layers * directions
  Index H = 0;
  T** h = nullptr;   // [count] of [B, H]
  T** c = nullptr;   // [count] of [B, H], null for a cell that has none
  T** dh = nullptr;  // [count] of [B, H], zero until somebody adds to it; where there is a way back
  T** dc = nullptr;

  void make(Arena& arena, int states, Index B, Index units, bool carries_c, bool back) {
    const auto arrays = [&](bool wanted, bool zero) -> T** {
      if (!wanted) return nullptr;
      T** const list = arena.get<T*>(states);
      for (int i = 0; i < states; ++i) list[i] = zero ? arena.zeros<T>(B * units) : arena.get<T>(B * units);
      return list;
    };
    count = states;
    H = units;
    h = arrays(true, false);
    c = arrays(carries_c, false);
    dh = arrays(back, true);
    dc = arrays(back && carries_c, true);
  }
};

// The sequences of a group between two nodes: rows of features, or of a table that has not been read yet.
template <class T>
struct Flow {
  Index B = 0;                           // sequences
  Index N = 0;                           // rows
  Index width = 0;                       // features of a row
  const Index* offsets = nullptr;        // [B + 1] where the rows of each sequence begin
  const Index* cut = nullptr;            // [B] of pairs: rows of a source, before those of its target; else null
  const std::uint32_t* key = nullptr;    // [B] what tells a sequence from the others of the batch
  T* rows = nullptr;                     // [N, width]; null: row n is row_of[n] of the table
  T* drows = nullptr;                    // [N, width] the gradient, set on the way back
  bool wanted = false;                   // whether anybody reads the gradient
  const std::int32_t* row_of = nullptr;  // [N] distinct row of the batch that a token reads
  const T* beside = nullptr;             // [N, numbers beside each token], or null
  const Index* token = nullptr;          // [N] the number of the token in the batch, of rows that are tokens
  const Image* images = nullptr;         // [B] of sequences whose rows are the cells of images, else null
  Ends<T>* ends = nullptr;               // of the recurrent node right before, or null
};

// Two pieces of memory in turn: what lies in one lasts until the one after the next is taken.
class Rooms {
 public:
  template <class T>
  T* next(Index numbers) {
    turn_ = !turn_;
    return rooms_[turn_].get<T>(numbers);
  }

 private:
  Buffer rooms_[2];
  bool turn_ = false;
};

// One chain of groups: what adds up in its order, whoever runs it.
template <class T>
struct Lane {
  int index;
  Index tokens;  // of all its groups
  Arena& arena;  // of the running group
  Arena& kept;   // of the whole lane
  T* gradient;   // [parameters that are not of tables] added to; null: not wanted, and what `run` left is left as it is
  Rooms* rooms = nullptr;  // for rows that nobody goes back to; null: they last until the end of the group
  T* out = nullptr;        // where the running node is to put the rows that it gives; null: anywhere

  // Room for rows that a node makes.
  T* room(Index numbers) { return rooms ? rooms->next<T>(numbers) : arena.template get<T>(numbers); }
  // The same for those that it gives.
  T* give(Index numbers) { return out ? out : room(numbers); }
};

// What weights are packed for: to run; to be recorded, and gone back through; to be trained, with dropout.
enum class Use : int { kRun, kRecord, kTrain };

// What all groups of a batch have in common.
struct Common {
  Draw draw{};
  Use use = Use::kRun;
  bool training = false;  // what `back` needs is kept
  int threads = 1;
  int inside = 1;  // of the threads, those that work for one group; 1 where lanes are run side by side
  int lanes = 1;
  Index distinct = 0;                // rows of the table that the batch reads, each once
  const std::int32_t* id = nullptr;  // [distinct] of those rows, in the order of their first use

  bool drops(double p) const { return use == Use::kTrain && p > 0; }
};

// What a node draws masks for, beside its number.
enum Drawn : std::uint32_t { kRows, kStates, kWeights };
constexpr std::uint32_t place(std::uint32_t node, Drawn what, int which = 0) {
  return node << 16 | what << 12 | static_cast<std::uint32_t>(which);
}
constexpr Index kDrawn = 256;  // elements that are drawn at a time

template <class T>
class TouchedRows;

template <class T>
class Node {
 public:
  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  // Numbers of its own, in the order of their names, tables left out.
  virtual Index parameters() const { return 0; }

  // Turns what one sequence of the batch has become into what it makes of that.
  virtual void count(Extent& extent) const { (void)extent; }
  // Whether its rows are those of targets that it parted from their sources; or of those sources.
  virtual bool takes_targets() const { return false; }
  virtual bool takes_sources() const { return false; }
  // How many rows that it reads, more or less, stand behind one that it gives, where those are fewer.
  virtual Index stride() const { return 1; }
  // Whether rows of a live sequence may wait for others that it reads itself.
  virtual bool withholds() const { return false; }
  // Whether a row that it gives is made of the same row that it reads, and of nothing else.
  virtual bool by_row() const { return false; }
  // Numbers that each row of a group leaves in memory, where they are many.
  virtual Index left_behind() const { return 0; }
  // Numbers that are read anew at each step of a sequence, at most at a time.
  virtual Index stepped() const { return 0; }

  // Reads its parameters, once for each update; of those only a table must stay where it is.
  virtual void pack(const T* parameters) { (void)parameters; }
  // Takes what the same node of another program has packed, which stays there.
  virtual void borrow(const Node& other) { (void)other; }
  // Does what is done once for all groups of a batch.
  virtual void begin() {}

  // Gives back, after a run, the memory that grew with the batch.
  virtual void rest() {}

  // Turns the rows of a group into others; returns what `back` needs, in the memory of the lane's group. A node that
  // reads several flows finds the others right behind `read`, here and below.
  virtual void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) = 0;

  // Adds to the gradient of its parameters, and finds that of what it read, where it is wanted.
  virtual void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) = 0;

  // Before the first group of a lane, and after the last one.
  virtual void open(Lane<T>& lane) { (void)lane; }
  virtual void close(Lane<T>& lane) { (void)lane; }

  // Numbers that its lanes add up beside the gradient of its parameters, and where those begin.
  virtual Index extras() const { return 0; }
  Index extras_offset = 0;

  // Rows that its lanes add up besides, where they are known for each batch alone; those of the table are not its own.
  virtual TouchedRows<T>* touched() { return nullptr; }

  // Changes the gradient of its parameters, and of the table, when all lanes have been added; `extras` are their sums.
  virtual void finish(T* gradient, T* table, const T* extras) { (void)gradient, (void)table, (void)extras; }

  // Makes what it is to live sequences, of the parameters that it has packed; null where their rows pass as they are.
  // Throws where it reads whole sequences alone, and std::bad_alloc.
  virtual std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) {
    (void)plan;
    throw std::invalid_argument("the network has a node that reads whole sequences alone");
  }

  // Set by the program: where its parameters begin among those that are not of tables, its number in the network, and
  // what the running batch has in common.
  Index offset = 0;
  std::uint32_t number = 0;
  const Common* common = nullptr;
};

}  // namespace tidegate
