// How many members of a team should work together where they meet many times a second. On a machine that other programs
// keep busy, a member that has lost its processor keeps all others waiting for a time slice at each meeting, and fewer
// members are faster, though each of them does more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace hashgrad {

class Pace {
 public:
  // Members that should do the next stretch, of a team of `most`.
  int members(int most) {
    if (!scripted_.empty()) return std::min(most, scripted_[turn_ % scripted_.size()]);
    if (most != most_) *this = Pace(), most_ = most, size_ = most;
    return trial_ ? trial_ : size_;
  }

  // Seconds of work that are judged as one.
  double stretch() const { return scripted_.empty() ? kStretch : 0.0; }

  // What those members did, and the seconds that all of them together lost in waits which were not short.
  void note(size_t examples, double seconds, double lost) {
    turn_++;
    examples_ += static_cast<double>(examples), seconds_ += seconds, lost_ += lost;
    if (seconds_ >= kStretch) judge();
  }

  // For tests: these numbers of members, again and again, each for one batch.
  void script(std::vector<int> members) { scripted_ = std::move(members), turn_ = 0; }

 private:
  void judge() {
    const double speed = examples_ / seconds_;
    const bool waits = 2.0 * lost_ > (trial_ ? trial_ : size_) * seconds_;
    examples_ = seconds_ = lost_ = 0.0;
    stretches_++;
    if (trial_) {
      const bool larger = trial_ > size_;
      const bool better = larger ? speed > kAlike * speed_ : kAlike * speed > speed_;
      patience_ = better ? kImpatient : std::min(2 * patience_, kPatient);
      in_vain_ = !larger && !better;
      if (better) size_ = trial_;
      trial_ = stretches_ = 0;
      return;
    }
    speed_ = speed;
    if (stretches_ < patience_) return;
    const bool may_grow = size_ < most_;
    if (waits && size_ > 1 && !(in_vain_ && may_grow))
      trial_ = size_ / 2;
    else if (may_grow)
      trial_ = std::min(2 * size_, most_);
  }

  static constexpr double kStretch = 0.05;
  static constexpr int kImpatient = 2, kPatient = 64;  // stretches between trials of another size
  static constexpr double kAlike = 1.03;               // speeds: then fewer members do
  int most_ = 0, size_ = 0;
  int trial_ = 0;         // members of the stretch at hand, if it is to tell whether they are better than `size_`
  bool in_vain_ = false;  // fewer have been tried last, and were slower
  int stretches_ = 0, patience_ = kImpatient;
  double speed_ = 0.0;  // examples a second of the last stretch with `size_` members
  double examples_ = 0.0, seconds_ = 0.0, lost_ = 0.0;
  std::vector<int> scripted_;
  size_t turn_ = 0;
};

}  // namespace hashgrad
