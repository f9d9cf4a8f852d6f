//===- KernelBufferization.cpp - Bufferization of tinytrain.kernel ---------------===//

#include "lib/Transforms/KernelBufferization.h"

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotModuleBufferize.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_BUFFERIZEGRAPH
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

/// A kernel reads its inputs and writes result i to init i. Its region speaks of tensors
/// before and after bufferization.
struct KernelModel : BufferizableOpInterface::ExternalModel<KernelModel, KernelOp> {
  static bool isInit(KernelOp kernel, OpOperand &operand) {
    return operand.getOperandNumber() >= kernel.getInputs().size();
  }

  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    auto kernel = cast<KernelOp>(op);
    BlockArgument arg = kernel.getKernelBlock()->getArgument(operand.getOperandNumber());
    return !isInit(kernel, operand) || !arg.use_empty();
  }

  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return isInit(cast<KernelOp>(op), operand);
  }

  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand,
                                      const AnalysisState &) const {
    auto kernel = cast<KernelOp>(op);
    if (!isInit(kernel, operand))
      return {};
    unsigned index = operand.getOperandNumber() - kernel.getInputs().size();
    return {{kernel.getResult(index), BufferRelation::Equivalent}};
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    auto kernel = cast<KernelOp>(op);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(kernel);
    SmallVector<Value> buffers;
    for (Value operand : kernel->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    size_t numInputs = kernel.getInputs().size();
    auto lowered = KernelOp::create(
        rewriter, kernel.getLoc(), TypeRange(), ValueRange(buffers).take_front(numInputs),
        ValueRange(buffers).drop_front(numInputs), kernel.getLabelAttr(), kernel.getMacsAttr());
    lowered.getBody().takeBody(kernel.getBody());
    replaceOpWithBufferizedValues(rewriter, kernel, ArrayRef(buffers).drop_front(numInputs));
    return success();
  }
};

struct BufferizeGraph : tinytrain::impl::BufferizeGraphBase<BufferizeGraph> {
  using BufferizeGraphBase::BufferizeGraphBase;

  void runOnOperation() override {
    OneShotBufferizationOptions options;
    options.bufferizeFunctionBoundaries = true;
    options.setFunctionBoundaryTypeConversion(LayoutMapOption::IdentityLayoutMap);
    // Nor a kernel that is bufferized already: its region still speaks of tensors, and it may
    // stand at the address of an op on the list of those to check.
    options.opFilter.denyOperation([](Operation *op) {
      return op->getParentOfType<KernelOp>() != nullptr ||
             (isa<KernelOp>(op) && llvm::none_of(op->getOperandTypes(), llvm::IsaPred<TensorType>));
    });
    BufferizationState state;
    if (failed(runOneShotModuleBufferize(getOperation(), options, state)))
      signalPassFailure();
  }
};

} // namespace

void tinytrain::registerKernelBufferization(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, TinyTrainDialect *) {
    KernelOp::attachInterface<KernelModel>(*context);
  });
}
