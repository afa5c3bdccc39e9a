// Asymmetric transforms: neurons and queries are mapped differently, so that nearness of the images
// orders neurons by inner product. The neuron v (scaled so that no norm exceeds `bound`) gets
// `terms` more coordinates, functions of its squared norm; the query u (direction only) gets the
// constant `query` in each.
//   Simple-LSH (Neyshabur & Srebro 2015)    [v; sqrt(1 - |v|^2)]                     [u; 0] bound 1
//   Sign-ALSH (Shrivastava & Li 2015)       [v; 1/2 - |v|^2; 1/2 - |v|^4]            [u; 0; 0]
//   bound 0.75 L2-ALSH (Shrivastava & Li 2014)         [v; |v|^2; |v|^4; |v|^8]                 [u;
//   1/2; 1/2; 1/2] bound 0.83
#pragma once

#include <algorithm>
#include <cmath>

#include "spec.h"

namespace hashgrad {

constexpr int kMaxTerms = 3;

inline int transform_terms(Transform t) {
  switch (t) {
    case Transform::kNone:
      return 0;
    case Transform::kSimple:
      return 1;
    case Transform::kSignAlsh:
      return 2;
    case Transform::kL2Alsh:
      return 3;
  }
  return 0;
}

inline float transform_bound(Transform t) {
  return t == Transform::kSignAlsh ? 0.75f : t == Transform::kL2Alsh ? 0.83f : 1.f;
}

inline float transform_query(Transform t) { return t == Transform::kL2Alsh ? 0.5f : 0.f; }

// norm2: squared norm of the scaled neuron. Between rebuilds a neuron may outgrow the bound; it is
// then taken at it.
inline void transform_neuron(Transform t, float norm2, float* term) {
  const float bound = transform_bound(t);
  norm2 = std::min(norm2, bound * bound);
  switch (t) {
    case Transform::kNone:
      return;
    case Transform::kSimple:
      term[0] = std::sqrt(std::max(0.f, 1.f - norm2));
      return;
    case Transform::kSignAlsh:
      term[0] = 0.5f - norm2;
      term[1] = 0.5f - norm2 * norm2;
      return;
    case Transform::kL2Alsh:
      term[0] = norm2;
      term[1] = norm2 * norm2;
      term[2] = term[1] * term[1];
      return;
  }
}

}  // namespace hashgrad
