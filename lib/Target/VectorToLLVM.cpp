//===- VectorToLLVM.cpp - Vectors to the LLVM dialect ----------------------------===//

#include "dialects/TinyTrain.h"
#include "lib/Passes.h"

#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tinytrain;

namespace tinytrain {
#define GEN_PASS_DEF_VECTORTOLLVM
#include "lib/Passes.h.inc"
} // namespace tinytrain

namespace {

struct VectorToLLVM : tinytrain::impl::VectorToLLVMBase<VectorToLLVM> {
  using VectorToLLVMBase::VectorToLLVMBase;

  void runOnOperation() override {
    RewritePatternSet lowerings(&getContext());
    vector::populateVectorBroadcastLoweringPatterns(lowerings);
    vector::populateVectorStepLoweringPatterns(lowerings);
    if (failed(applyPatternsGreedily(getOperation(), std::move(lowerings))))
      return signalPassFailure();

    LowerToLLVMOptions options(&getContext());
    options.overrideIndexBitwidth(indexBits);
    LLVMTypeConverter converter(&getContext(), options);
    RewritePatternSet patterns(&getContext());
    populateVectorToLLVMConversionPatterns(converter, patterns,
                                           /*reassociateFPReductions=*/true);
    LLVMConversionTarget target(getContext());
    target.addLegalDialect<arith::ArithDialect, memref::MemRefDialect>();
    target.addLegalOp<UnrealizedConversionCastOp>();
    if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
