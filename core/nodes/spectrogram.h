// What a sound is made of: frames of samples times a windowed Fourier basis, the power of each frequency, bands of
// these, the logarithm, brought to a common scale. All sums are products, in the order that products have.
#pragma once

#include <vector>

#include "nodes/frames.h"

namespace tidegate {

template <class T>
class Spectrogram final : public Node<T> {
 public:
  // `basis` [width, 2 * bins]: cosines, then sines; `mel` [bins, bands]; `floor` is added before the logarithm.
  Spectrogram(Frames frames, Index bins, Index bands, const double* basis, const double* mel, double floor);

  Index parameters() const override { return 2 * bands_; }
  void count(Extent& extent) const override { frames_.count(extent); }
  Index stride() const override { return frames_.stride; }
  bool withholds() const override { return frames_.width > 1; }
  void pack(const T* parameters) override {
    own_.assign(parameters, parameters + this->parameters());
    scaling_ = own_.data();
  }
  void borrow(const Node<T>& other) override { scaling_ = static_cast<const Spectrogram&>(other).scaling_; }
  void* run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) override;
  void back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) override;
  std::unique_ptr<LiveNode<T>> live(LivePlan<T>& plan) override;

  // What is made on the way, each of so many frames.
  struct Parts {
    T* spectrum;  // [., 2 * bins]
    T* power;     // [., bins]
    T* energy;    // [., bands] with the floor
    T* log;       // [., bands]
  };
  Index part_numbers() const { return 3 * bins_ + 2 * bands_; }
  Parts parts(T* memory, Index frames) const;
  // Reads `count` frames of samples that lie end to end, all of them there.
  void make(const T* samples, Index count, int threads, const Parts& parts, T* out) const;
  Index bands() const { return bands_; }

 private:
  // y [rows, columns] = x [rows, K] @ w
  static void multiply_by(const T* w, Index K, Index columns, const T* x, Index x_stride, Index rows, int threads,
                          T* y);

  const Frames frames_;
  const Index bins_, bands_;
  const T floor_;
  Arena arena_;
  T *basis_, *mel_, *basis_back_, *mel_back_;  // packed
  std::vector<T> own_;
  const T* scaling_ = nullptr;  // mean [bands], then scale [bands]
};

}  // namespace tidegate
