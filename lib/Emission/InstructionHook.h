//===- InstructionHook.h - Counts emulated instructions ---------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_EMISSION_INSTRUCTIONHOOK_H
#define TINYTRAIN_LIB_EMISSION_INSTRUCTIONHOOK_H

#include <cstdint>

/// What the hook works on; the Python package lays it out (runtime/counting.py).
struct TinyTrainProfile {
  uint64_t total;
  /// First address of the code, and its size in half words.
  uint64_t base, slots;
  /// Instructions executed in blocks that start at `base + 2 * i`.
  uint64_t *counts;
  /// Number of instructions that begin before `base + 2 * i`.
  const uint32_t *prefix;
};

/// A block hook of the Unicorn emulator (uc_cb_hookcode_t), called once per translated
/// block. Native, because a hook in Python costs a microsecond a call.
extern "C" void tinytrainInstructionHook(void *uc, uint64_t address, uint32_t size, void *profile);

#endif // TINYTRAIN_LIB_EMISSION_INSTRUCTIONHOOK_H
