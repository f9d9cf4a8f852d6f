// Parameters, optimizer state and the learning rate become globals, shared by all functions.
// RUN: tinytrain-opt %s --tinytrain-plan-memory | FileCheck %s

// What is updated, and what is set between steps, shares one global:
//
//   w            20 bytes at 0
//   learning_rate 4 bytes at 32, the next multiple of 16
//   w.velocity   20 bytes at 48
//
// 68 bytes together.

// A call that writes what is updated belongs to the update; of a function whose body is not
// known, every operand counts as written, but for what its callers do not update: nothing in
// @predict.
//
// CHECK: module attributes {tinytrain.arena_bytes = 0 : i64, tinytrain.buffers = [], tinytrain.ops = [
// CHECK-SAME: {function = "step", {{[^}]*}}, number = 0 : i64, phase = "update", writes = ["w", "w.velocity"]}
// CHECK-SAME: {function = "step", {{[^}]*}}, number = 1 : i64, phase = "update", writes = ["w"]}
// CHECK-SAME: {function = "predict", {{[^}]*}}, number = 0 : i64, phase = "forward", writes = []}]
// CHECK-SAME: tinytrain.parameters = [
// CHECK-SAME: {bytes = 20 : i64, name = "w", offset = 0 : i64, type = memref<5xf32>}
// CHECK-SAME: {bytes = 4 : i64, name = "learning_rate", offset = 32 : i64, type = memref<f32>}
// CHECK-SAME: {bytes = 20 : i64, name = "w.velocity", offset = 48 : i64, type = memref<5xf32>}
// CHECK-NOT: @arena
// CHECK-DAG: memref.global "private" @params : memref<68xi8> = uninitialized {alignment = 16 : i64, tinytrain.global = ""}
// CHECK-DAG: memref.global "private" constant @const.frozen : memref<5xf32> {alignment = 16 : i64, tinytrain.global = "frozen"}

func.func private @update(memref<5xf32>, memref<5xf32>, memref<5xf32>, memref<f32>)
func.func private @run(memref<5xf32>, memref<5xf32>, memref<5xf32>)

// CHECK-LABEL: func.func @step
// CHECK-SAME: ([[X:%[a-z0-9]+]]: memref<5xf32> {tinytrain.label})
// CHECK-DAG: [[FROZEN:%.+]] = memref.get_global @const.frozen : memref<5xf32>
// CHECK-DAG: [[ATW:%.+]] = arith.constant 0 : index
// CHECK-DAG: [[W:%.+]] = memref.view {{%.+}}[[[ATW]]][] : memref<68xi8> to memref<5xf32>
// CHECK-DAG: [[ATV:%.+]] = arith.constant 48 : index
// CHECK-DAG: [[V:%.+]] = memref.view {{%.+}}[[[ATV]]][] : memref<68xi8> to memref<5xf32>
// CHECK-DAG: [[ATLR:%.+]] = arith.constant 32 : index
// CHECK-DAG: [[LR:%.+]] = memref.view {{%.+}}[[[ATLR]]][] : memref<68xi8> to memref<f32>
// CHECK: call @update([[W]], [[V]], [[FROZEN]], [[LR]])
// CHECK: call @run([[W]], [[FROZEN]], [[X]])
func.func @step(%w: memref<5xf32> {tinytrain.param = "w", tinytrain.updated}, %frozen: memref<5xf32> {tinytrain.param = "frozen"},
                %x: memref<5xf32> {tinytrain.label}, %lr: memref<f32> {tinytrain.learning_rate},
                %v: memref<5xf32> {tinytrain.state = "w.velocity", tinytrain.updated}) {
  call @update(%w, %v, %frozen, %lr) : (memref<5xf32>, memref<5xf32>, memref<5xf32>, memref<f32>) -> ()
  call @run(%w, %frozen, %x) : (memref<5xf32>, memref<5xf32>, memref<5xf32>) -> ()
  return
}

// Inference reads the same parameters: `w` is not updated here, but elsewhere.
// CHECK-LABEL: func.func @predict
// CHECK-SAME: ([[X:%[a-z0-9]+]]: memref<5xf32>)
// CHECK-DAG: [[FROZEN:%.+]] = memref.get_global @const.frozen
// CHECK-DAG: [[PARAMS:%.+]] = memref.get_global @params
// CHECK-DAG: [[W:%.+]] = memref.view [[PARAMS]]
// CHECK: call @run([[W]], [[FROZEN]], [[X]])
func.func @predict(%x: memref<5xf32>, %w: memref<5xf32> {tinytrain.param = "w"}, %frozen: memref<5xf32> {tinytrain.param = "frozen"}) {
  call @run(%w, %frozen, %x) : (memref<5xf32>, memref<5xf32>, memref<5xf32>) -> ()
  return
}
