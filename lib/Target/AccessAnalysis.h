//===- AccessAnalysis.h - How accesses depend on loop dimensions ------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_ACCESSANALYSIS_H
#define TINYTRAIN_LIB_TARGET_ACCESSANALYSIS_H

#include "lib/Target/KernelModel.h"

namespace tinytrain {

/// How an access moves along a dimension.
struct Dependence {
  bool any = false;        // depends on the dimension
  bool contiguous = false; // neighbours are neighbours in memory
};

Dependence dependenceOf(const Access &access, unsigned dim, unsigned dims);

/// True if a condition on the access depends on a dimension.
bool isGuarded(const Access &access, unsigned dim);

/// True if that holds for any of the root's inputs, or for any result that is stored.
bool isAnyInputGuarded(const KernelModel &model, unsigned dim);
bool isAnyStoreGuarded(const KernelModel &model, unsigned dim);

/// Dimensions under a division have to be constants: code is emitted per value. Where nothing is
/// reduced, the quotients only address what is read, and are computed.
llvm::SmallVector<unsigned> findPhases(const KernelModel &model);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_ACCESSANALYSIS_H
