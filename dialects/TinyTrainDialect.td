//===- TinyTrainDialect.td - The tinytrain dialect ---------------*- tablegen -*-===//

#ifndef TINYTRAIN_DIALECT_TD
#define TINYTRAIN_DIALECT_TD

include "mlir/IR/OpBase.td"

def TinyTrain_Dialect : Dialect {
  let name = "tinytrain";
  let cppNamespace = "::tinytrain";
  let summary = "Training graphs for microcontrollers, differentiated at compile time";
  let description = [{
    A graph is a `func.func` on ranked, statically shaped tensors with value
    semantics. Activations are channels last (NHWC). Convolution weights are
    OHWI; the weight of a depthwise convolution is `1xKHxKWxC`.

    Everything a training step needs is visible in its signature:

    | attribute | on | meaning |
    |---|---|---|
    | `tinytrain.param = "name"` | argument | a parameter, named as in the PyTorch `state_dict` |
    | `tinytrain.needs_grad` | argument | `true`, `false`, a fraction in (0, 1] of the last dimension, or an `array<i64: ...>` of its indices |
    | `tinytrain.state = "name"` | argument | optimizer state that belongs to the parameter of that name |
    | `tinytrain.updated` | argument | written in place (set when updates have been verified) |
    | `tinytrain.label` | argument | the target of the loss |
    | `tinytrain.learning_rate` | argument | the learning rate, `tensor<f32>` |
    | `tinytrain.cotangent = i` | argument | the gradient of result `i`, given from outside |
    | `tinytrain.loss` | result | the scalar that is minimised |
    | `tinytrain.gradient_of = i` | result | the gradient of argument `i` |
    | `tinytrain.update_of = i` | result | the new value of argument `i` |
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::quant::QuantDialect",
    "::mlir::tensor::TensorDialect"
  ];
  let hasConstantMaterializer = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let hasOperationAttrVerify = 1;
}

#endif // TINYTRAIN_DIALECT_TD
