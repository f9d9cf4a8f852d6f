//===- TinyTrainInterfaces.td - Op interfaces and traits ---------*- tablegen -*-===//

#ifndef TINYTRAIN_INTERFACES_TD
#define TINYTRAIN_INTERFACES_TD

include "mlir/IR/OpBase.td"

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::tinytrain";
  let description = [{
    An op with a vector-Jacobian product (VJP). Rules are attached as external
    models, one file per op family, in `lib/Autodiff`.
  }];
  let methods = [
    InterfaceMethod<[{
        Builds the VJP: given the cotangent of each result (null where nothing
        flows back), returns exactly one cotangent per operand, null for an
        operand that has no derivative (labels, masks). The builder stands in
        the backward pass; what only depends on the forward pass may be
        inserted right after the op itself.
      }],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildVJP",
      (ins "::mlir::OpBuilder &":$builder,
           "::mlir::ValueRange":$cotangents)>,
  ];
}

def SliceableOpInterface : OpInterface<"SliceableOpInterface"> {
  let cppNamespace = "::tinytrain";
  let description = [{
    An op that can compute the leading part of its result's last dimension from the
    leading part of its operands.
  }];
  let methods = [
    InterfaceMethod<[{
        The operands whose last dimension has to be cut for that.
      }],
      "::llvm::SmallVector<unsigned>", "getSlicedOperands", (ins)>,
  ];
}

def ContractionOpInterface : OpInterface<"ContractionOpInterface"> {
  let cppNamespace = "::tinytrain";
  let description = [{
    A convolution, one of its adjoints, or a matrix product.
  }];
  let methods = [
    InterfaceMethod<[{
        Number of multiply-accumulates, those on padding included.
      }],
      "int64_t", "getNumMACs", (ins)>,
  ];
}

/// A contraction, pooling or reduction: the op a kernel is built around.
def KernelRoot : NativeOpTrait<"KernelRoot"> {
  let cppNamespace = "::tinytrain";
}

/// Each result element depends on the operands' elements at the same index
/// (operands of lower rank are broadcast along the leading dimensions).
def ElementwiseOp : NativeOpTrait<"ElementwiseOp"> {
  let cppNamespace = "::tinytrain";
}

/// Operand 0 is a parameter or optimizer state, the result its new value: the
/// update has to be done in place.
def InPlaceUpdate : NativeOpTrait<"InPlaceUpdate"> {
  let cppNamespace = "::tinytrain";
}

#endif // TINYTRAIN_INTERFACES_TD
