// The size of an image, whose cells are the rows of a sequence, line by line.
#pragma once

#include "tidegate.h"

namespace tidegate {

struct Image {
  Index height, width;
};

}  // namespace tidegate
