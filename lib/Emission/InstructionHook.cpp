//===- InstructionHook.cpp - Counts emulated instructions ------------------------===//

#include "lib/Emission/InstructionHook.h"

void tinytrainInstructionHook(void *, uint64_t address, uint32_t size, void *user) {
  auto *profile = static_cast<TinyTrainProfile *>(user);
  uint64_t first = (address - profile->base) >> 1, last = first + (size >> 1);
  if (first >= profile->slots || last > profile->slots)
    return;
  uint64_t count = profile->prefix[last] - profile->prefix[first];
  profile->total += count;
  profile->counts[first] += count;
}
