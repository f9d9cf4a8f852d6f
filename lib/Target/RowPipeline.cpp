//===- RowPipeline.cpp - When the rows of a chain are computed -------------------===//

#include "lib/Target/RowPipeline.h"

using namespace mlir;
using namespace tinytrain;

bool RowPipeline::isPipeline(KernelOp kernel) {
  return !kernel.getKernelBlock()->getOps<RowWindowOp>().empty();
}

RowPipeline RowPipeline::get(KernelOp kernel) {
  RowPipeline pipeline;
  // A stage reads rows of the stage before it; the first one, of the pipeline's first operand that
  // it takes. Other windows are of images that are read row by row beside it.
  Operation *previous = nullptr;
  for (auto kernelOfRow : kernel.getKernelBlock()->getOps<KernelOp>()) {
    Stage &s = pipeline.stages.emplace_back();
    s.kernel = kernelOfRow;
    for (Value input : kernelOfRow.getInputs())
      if (auto window = input.getDefiningOp<RowWindowOp>();
          window && !s.window && window.getInput().getDefiningOp() == previous)
        s.window = window;
    previous = kernelOfRow;
  }
  auto join = *kernel.getKernelBlock()->getOps<JoinRowsOp>().begin();
  int64_t height = cast<ShapedType>(join.getType()).getDimSize(1), perTurn = 1;
  for (Stage &s : llvm::reverse(pipeline.stages)) {
    s.height = height;
    s.rowsPerTurn = perTurn;
    height = s.window.getHeight();
    perTurn *= s.window.getStep();
  }
  int64_t delay = 0, before = perTurn;
  for (Stage &s : pipeline.stages) {
    RowWindowOp window = s.window;
    int64_t rows = window.getRows(), step = window.getStep(), pad = -window.getOffset();
    // The last row of a window must be there in the turn in which it is read.
    s.delay = std::max<int64_t>(0, llvm::divideCeilSigned(delay + rows - step - pad, step));
    bool readsOperand = !window.getInput().getDefiningOp();
    if (!readsOperand || rows > 1) {
      int64_t needed = before + s.delay * step + pad - delay;
      s.lines = std::max(needed, before);
      s.newLines = before;
      s.firstLine = s.lines - needed;
      auto type = cast<ShapedType>(window.getType());
      s.lineBytes = bytesOf(type) / rows;
      s.offset = pipeline.bytes;
      pipeline.bytes = llvm::alignTo(pipeline.bytes + s.lines * s.lineBytes, 16);
    }
    delay = s.delay;
    before = s.rowsPerTurn;
  }
  pipeline.turns = pipeline.stages.back().height + delay;
  return pipeline;
}
