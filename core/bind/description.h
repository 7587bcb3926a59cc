// How Python describes nodes to the core.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>
#include <vector>

namespace tidegate {

namespace nb = nanobind;

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

// Whether what comes in must be images: a node needs some, and none before it makes them. Raises where ids come.
inline bool wants_images(nb::sequence descriptions, const std::vector<std::vector<std::size_t>>& reads) {
  enum class From { kIds, kInput, kMade };
  std::vector<From> from{From::kInput};
  bool wanted = false;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const std::string kind = Description(descriptions[i]).kind();
    From here = kind == "embed" || kind == "spell" ? From::kIds : kind == "unflatten" ? From::kMade : From::kInput;
    if (here == From::kInput) here = from[reads[i].front()];
    if (kind == "fold" || kind == "scan2d" || kind == "waves" || kind == "flatten") {
      if (here == From::kIds) throw nb::value_error("a node reads images, but ids come");
      wanted = wanted || here == From::kInput;
    }
    from.push_back(here);
  }
  return wanted;
}

}  // namespace tidegate
