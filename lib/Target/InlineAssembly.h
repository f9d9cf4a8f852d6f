//===- InlineAssembly.h - Instructions as text ------------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_TARGET_INLINEASSEMBLY_H
#define TINYTRAIN_LIB_TARGET_INLINEASSEMBLY_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace tinytrain {

/// Inline assembly without side effects; `text` and `constraints` are LLVM's.
inline mlir::Value assembly(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type,
                            mlir::ValueRange operands, llvm::StringRef text,
                            llvm::StringRef constraints) {
  using namespace mlir::LLVM;
  return InlineAsmOp::create(b, loc, type, operands, text, constraints, /*has_side_effects=*/false,
                             /*is_align_stack=*/false, TailCallKind::None, AsmDialectAttr(),
                             mlir::ArrayAttr())
      .getResult(0);
}

/// The same value, of which LLVM knows nothing, in a register of a class.
inline mlir::Value opaque(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value,
                          llvm::StringRef constraints = "=r,0") {
  return assembly(b, loc, value.getType(), value, "", constraints);
}

} // namespace tinytrain

#endif // TINYTRAIN_LIB_TARGET_INLINEASSEMBLY_H
