// Passes on functions leave a declaration, which has no body, alone.
// RUN: tinytrain-opt %s --tinytrain-eliminate-dead-gradients --tinytrain-pack-clamp-masks --tinytrain-apply-optimizer --tinytrain-slice-sparse-updates | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-fuse-ops --convert-tinytrain-to-linalg --tinytrain-form-kernels --tinytrain-reorder-ops --tinytrain-assign-destinations | FileCheck %s
// RUN: tinytrain-opt %s --tinytrain-verify-in-place-updates | FileCheck %s

// CHECK: func.func private @external(tensor<4xf32>) -> tensor<4xf32>
func.func private @external(tensor<4xf32>) -> tensor<4xf32>
