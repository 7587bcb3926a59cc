#include "nodes/spectrogram.h"

#include "isa/dispatch.h"
#include "layer/pack.h"
#include "layer/spread.h"

namespace tidegate {

template <class T>
Spectrogram<T>::Spectrogram(Frames frames, Index bins, Index bands, const double* basis, const double* mel,
                            double floor)
    : frames_(frames), bins_(bins), bands_(bands), floor_(static_cast<T>(floor)) {
  const auto packed = [this](const double* matrix, Index rows, Index columns, bool turned) {
    const std::vector<T> plain(matrix, matrix + rows * columns);
    const Index K = turned ? columns : rows, wide = turned ? rows : columns;
    T* const to = arena_.get<T>(K * padded<T>(wide));
    pack_columns(plain.data(), K, wide, turned ? Index(1) : columns, turned ? columns : Index(1), to);
    return to;
  };
  basis_ = packed(basis, frames.width, 2 * bins, false);
  basis_back_ = packed(basis, frames.width, 2 * bins, true);
  mel_ = packed(mel, bins, bands, false);
  mel_back_ = packed(mel, bins, bands, true);
}

template <class T>
void Spectrogram<T>::multiply_by(const T* w, Index K, Index columns, const T* x, Index x_stride, Index rows,
                                 int threads, T* y) {
  Linear<T> p{};
  p.x = x;
  p.x_stride = x_stride;
  p.w = w;
  p.K = K;
  p.columns = columns;
  p.y = y;
  p.y_stride = columns;
  multiply(p, rows, threads);
}

template <class T>
typename Spectrogram<T>::Parts Spectrogram<T>::parts(T* memory, Index frames) const {
  Parts parts{};
  parts.spectrum = memory;
  parts.power = parts.spectrum + frames * 2 * bins_;
  parts.energy = parts.power + frames * bins_;
  parts.log = parts.energy + frames * bands_;
  return parts;
}

template <class T>
void Spectrogram<T>::make(const T* samples, Index count, int threads, const Parts& parts, T* out) const {
  multiply_by(basis_, frames_.width, 2 * bins_, samples, frames_.stride, count, threads, parts.spectrum);
  for (Index f = 0; f < count; ++f) {
    const T *const real = parts.spectrum + f * 2 * bins_, *const imaginary = real + bins_;
    T* const power = parts.power + f * bins_;
    for (Index k = 0; k < bins_; ++k) power[k] = real[k] * real[k] + imaginary[k] * imaginary[k];
  }
  multiply_by(mel_, bins_, bands_, parts.power, bins_, count, threads, parts.energy);
  for (Index i = 0; i < count * bands_; ++i) parts.energy[i] += floor_;
  kernels<T>().log(parts.energy, parts.log, 0, count * bands_);
  const T *const mean = scaling_, *const scale = scaling_ + bands_;
  for (Index f = 0; f < count; ++f) {
    for (Index k = 0; k < bands_; ++k) out[f * bands_ + k] = (parts.log[f * bands_ + k] - mean[k]) * scale[k];
  }
}

template <class T>
void* Spectrogram<T>::run(Lane<T>& lane, const Flow<T>& read, Flow<T>& gave) {
  Arena& arena = lane.arena;
  const bool keeps = this->common->training;
  frames_.describe(arena, read, bands_, keeps, gave);
  gave.rows = lane.give(gave.N * bands_);
  T* const kept = keeps ? arena.get<T>(gave.N * part_numbers()) : nullptr;
  for (Index b = 0; b < read.B; ++b) {
    const Index begin = read.offsets[b], rows = read.offsets[b + 1] - begin;
    const Index first = gave.offsets[b], count = gave.offsets[b + 1] - first;
    const Arena::Mark mark = arena.mark();
    T* const samples = arena.get<T>(std::max(rows, frames_.reach(count)));
    std::fill(std::copy_n(read.rows + begin, rows, samples), samples + std::max(rows, frames_.reach(count)), T(0));
    T* const memory = kept ? kept + first * part_numbers() : arena.get<T>(count * part_numbers());
    make(samples, count, this->common->inside, parts(memory, count), gave.rows + first * bands_);
    arena.rewind(mark);
  }
  return kept;
}

template <class T>
void Spectrogram<T>::back(Lane<T>& lane, Flow<T>& read, const Flow<T>& gave, void* kept) {
  Arena& arena = lane.arena;
  const T *const mean = scaling_, *const scale = scaling_ + bands_;
  T* const gradient = lane.gradient ? lane.gradient + this->offset : nullptr;
  if (read.wanted) read.drows = arena.zeros<T>(read.N);
  for (Index b = 0; b < read.B; ++b) {
    const Index first = gave.offsets[b], count = gave.offsets[b + 1] - first;
    const Parts at = parts(static_cast<T*>(kept) + first * part_numbers(), count);
    const T* const d = gave.drows + first * bands_;
    for (Index f = 0; gradient && f < count; ++f) {
      for (Index k = 0; k < bands_; ++k) {
        const Index i = f * bands_ + k;
        gradient[k] -= d[i] * scale[k];
        gradient[bands_ + k] += d[i] * (at.log[i] - mean[k]);
      }
    }
    if (!read.wanted) continue;
    const Arena::Mark mark = arena.mark();
    T* const denergy = arena.get<T>(count * bands_);
    for (Index i = 0; i < count * bands_; ++i) denergy[i] = d[i] * scale[i % bands_] / at.energy[i];
    T* const dpower = arena.get<T>(count * bins_);
    multiply_by(mel_back_, bands_, bins_, denergy, bands_, count, this->common->inside, dpower);
    T* const dspectrum = arena.get<T>(count * 2 * bins_);
    for (Index i = 0; i < count * 2 * bins_; ++i) {
      dspectrum[i] = 2 * at.spectrum[i] * dpower[i / (2 * bins_) * bins_ + i % bins_];
    }
    T* const dframes = arena.get<T>(count * frames_.width);
    multiply_by(basis_back_, 2 * bins_, frames_.width, dspectrum, 2 * bins_, count, this->common->inside, dframes);
    frames_.add_back(dframes, count, read.offsets[b + 1] - read.offsets[b], 1, read.drows + read.offsets[b]);
    arena.rewind(mark);
  }
}

namespace {

template <class T>
class LiveSpectrogram final : public LiveFrames<T> {
 public:
  LiveSpectrogram(const Spectrogram<T>& node, const Frames& frames, LivePlan<T>& plan)
      : LiveFrames<T>(frames, node.bands(), plan), node_(node) {}

 private:
  void make(const T* samples, Index count, T* out) override {
    T* const memory = memory_.template get<T>(count * node_.part_numbers());
    node_.make(samples, count, 1, node_.parts(memory, count), out);
  }

  const Spectrogram<T>& node_;
  Buffer memory_;
};

}  // namespace

template <class T>
std::unique_ptr<LiveNode<T>> Spectrogram<T>::live(LivePlan<T>& plan) {
  return std::make_unique<LiveSpectrogram<T>>(*this, frames_, plan);
}

template class Spectrogram<float>;
template class Spectrogram<double>;

}  // namespace tidegate
