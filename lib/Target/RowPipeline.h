//===- RowPipeline.h - When the rows of a chain are computed ----------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_ROWPIPELINE_H
#define TINYTRAIN_LIB_TARGET_ROWPIPELINE_H

#include "dialects/TinyTrain.h"

namespace tinytrain {

/// The schedule of a kernel that holds kernels for single rows. In turn i, stage k computes the
/// rows from `rowsPerTurn * i - delay` on, `rowsPerTurn` of them, those inside its image.
struct RowPipeline {
  struct Stage {
    KernelOp kernel;
    /// What the stage reads of the image before.
    RowWindowOp window;
    /// Rows of its result.
    int64_t height = 0;
    int64_t rowsPerTurn = 1, delay = 0;
    /// The line buffer of what it reads: rows in it, how many of them are new in each turn, and
    /// where the window of the turn's first row starts. None where it reads the image itself.
    int64_t lines = 0, newLines = 0, firstLine = 0;
    /// Bytes of a line, and offset of the buffer.
    int64_t lineBytes = 0, offset = 0;
  };
  llvm::SmallVector<Stage> stages;
  /// Bytes of all line buffers.
  int64_t bytes = 0;
  /// Turns until the last row is computed.
  int64_t turns = 0;

  /// True for a kernel that is a row pipeline.
  static bool isPipeline(KernelOp kernel);
  static RowPipeline get(KernelOp kernel);
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_ROWPIPELINE_H
