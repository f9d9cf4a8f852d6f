// RUN: not tinytrain-opt %s --tinytrain-plan-memory=alignment=24 2>&1 | FileCheck %s

// CHECK: error: expects an alignment that is a power of two, got 24
func.func @step() {
  return
}
