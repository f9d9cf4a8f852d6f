//===- Rules.h - Registration of the VJP rules ------------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_AUTODIFF_RULES_H
#define TINYTRAIN_LIB_AUTODIFF_RULES_H

#include "dialects/TinyTrain.h"

namespace tinytrain {

/// Attaches the VJP rules of all op families to the dialect's ops.
void registerAutodiffRules(mlir::DialectRegistry &registry);

void attachContractionRules(mlir::MLIRContext *context);
void attachElementwiseRules(mlir::MLIRContext *context);
void attachPoolingRules(mlir::MLIRContext *context);
void attachQuantizationRules(mlir::MLIRContext *context);
void attachReductionRules(mlir::MLIRContext *context);
void attachShapeRules(mlir::MLIRContext *context);

/// What a rule returns: one cotangent per operand.
using Cotangents = mlir::FailureOr<llvm::SmallVector<mlir::Value>>;

/// A rule as a function of the op, the builder and its result's cotangent,
/// made into an interface model of ops with one result.
template <typename Op, Cotangents (*Rule)(Op, mlir::OpBuilder &, mlir::Value)>
struct VJPModel : DifferentiableOpInterface::ExternalModel<VJPModel<Op, Rule>, Op> {
  Cotangents buildVJP(mlir::Operation *op, mlir::OpBuilder &builder,
                      mlir::ValueRange cotangents) const {
    return Rule(mlir::cast<Op>(op), builder, cotangents.front());
  }
};

/// `g` where `result`, which saturates at the ends of its storage type, does not.
mlir::Value saturationVJP(mlir::OpBuilder &b, mlir::Location loc, mlir::Value g,
                          mlir::Value result);

/// Attaches one rule to one op.
template <auto Rule> struct Attach;
template <typename Op, Cotangents (*Rule)(Op, mlir::OpBuilder &, mlir::Value)> struct Attach<Rule> {
  static void to(mlir::MLIRContext *context) {
    Op::template attachInterface<VJPModel<Op, Rule>>(*context);
  }
};

} // namespace tinytrain

#endif // TINYTRAIN_LIB_AUTODIFF_RULES_H
