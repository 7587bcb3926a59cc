// Takes the tokens of texts as numbers, one text after the other.
#pragma once

#include "text/lexicon.h"

namespace tidegate {

// What a text holds that others must read, and the place among the numbers where its tokens belong.
struct Odd {
  Index text, begin, end;
  Index place;
};

constexpr std::int32_t kLeft = -1;  // stands in that place

class Take {
 public:
  // Looks tokens up, those that are not there being 0; or adds them where `learn` is not null.
  Take(const Lexicon& known, Lexicon* learn) : known_(known), learn_(learn) {}

  void begin(Index text) {
    text_ = text;
    begin_ = size();
    odd_begin_ = odd.size();
    keep();
  }
  // The numbers from here on may be given up again.
  void keep() { kept_ = size(); }
  void take(const Token& token) {
    const std::int32_t number = learn_ ? learn_->add(token) : known_.find(token);
    numbers.push_back(number < 0 ? 0 : number);
  }
  void leave(Index begin, Index end) {
    numbers.resize(kept_);
    odd.push_back({text_, begin, end, kept_});
    numbers.push_back(kLeft);
  }
  void drop_text() {
    numbers.resize(begin_);
    odd.resize(odd_begin_);
    keep();
  }
  // Cuts the text to its first or last tokens, if all of them are known.
  void trim(Index most, bool last) {
    if (odd.size() > odd_begin_ || tokens() <= most) return;
    if (last) {
      numbers.erase(numbers.begin() + begin_, numbers.end() - most);
    } else {
      numbers.resize(begin_ + most);
    }
  }
  // How many tokens the text has that are known.
  Index tokens() const { return size() - begin_ - static_cast<Index>(odd.size() - odd_begin_); }
  Index size() const { return static_cast<Index>(numbers.size()); }

  std::vector<std::int32_t> numbers;
  std::vector<Odd> odd;

 private:
  const Lexicon& known_;
  Lexicon* const learn_;
  Index text_ = 0, begin_ = 0, kept_ = 0;
  std::size_t odd_begin_ = 0;
};

}  // namespace tidegate
