// How many members of a team should work together where they meet many times a second. On a machine that other programs
// keep busy, a member that has lost its processor keeps all others waiting for a time slice at each meeting, and fewer
// members are faster, though each of them does more.
#pragma once

#include <algorithm>
#include <cstddef>

namespace hashgrad {

class Pace {
 public:
  static constexpr double kStretch = 0.05;  // seconds of work that are judged as one

  // Members that should do the next stretch, of a team of `most`.
  int members(int most) {
    most_ = most;
    size_ = std::min(size_, most);
    return trial_ ? std::min(trial_, most) : size_ ? size_ : most;
  }

  // What those did, and the seconds that all of them together lost in waits which were not short.
  void note(size_t examples, double seconds, double lost) {
    examples_ += static_cast<double>(examples), seconds_ += seconds, lost_ += lost;
    if (seconds_ >= kStretch) judge();
  }

 private:
  void judge() {
    const double speed = examples_ / seconds_;
    const int size = members(most_);
    const bool waits = 2.0 * lost_ > size * seconds_;
    examples_ = seconds_ = lost_ = 0.0;
    stretches_++;
    if (trial_) {
      const bool better = trial_ > size_ ? speed > kWorth * speed_ : kWorth * speed > speed_;
      if (better) size_ = size;
      patience_ = better ? kImpatient : std::min(2 * patience_, kPatient);
      trial_ = 0, stretches_ = 0;
    } else {
      speed_ = speed;
      size_ = size;
      if (stretches_ < patience_) return;
      if (waits && size > 1)
        trial_ = size / 2;
      else if (size < most_)
        trial_ = std::min(2 * size, most_);
    }
  }

  static constexpr int kImpatient = 2, kPatient = 64;  // stretches between trials of another size
  static constexpr double kWorth = 1.1;                // times as fast, or fewer members do as well
  int most_ = 1, size_ = 0, trial_ = 0;                // 0: not known yet, and no trial
  int stretches_ = 0, patience_ = kImpatient;
  double speed_ = 0.0;  // examples a second of the last stretch with `size_` members
  double examples_ = 0.0, seconds_ = 0.0, lost_ = 0.0;
};

}  // namespace hashgrad
