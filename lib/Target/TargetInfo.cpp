//===- TargetInfo.cpp - The table of targets -------------------------------------===//

#include "lib/Target/TargetInfo.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#include <vector>

using namespace tinytrain;

/// The machine this runs on. The triple's C library makes no difference: the code is
/// freestanding.
static TargetInfo detectHost() {
  TargetInfo host;
  host.name = "host";
  host.triple = llvm::sys::getProcessTriple();
  host.cpu = llvm::sys::getHostCPUName().str();
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  std::vector<std::string> list;
  for (const auto &feature : features)
    list.push_back((feature.getValue() ? "+" : "-") + feature.getKey().str());
  llvm::sort(list);
  for (const std::string &feature : list)
    host.features += (host.features.empty() ? "" : ",") + feature;
  host.indexBits = 64;
  bool avx512 = features.lookup("avx512f"), avx = features.lookup("avx");
  host.vectorBits = avx512 ? 512 : avx ? 256 : 128;
  host.minVectorBits = 64;
  bool wide = avx512 || llvm::StringRef(host.triple).starts_with("aarch64");
  host.floatRegisters = wide ? 32 : 16;
  host.hasPairProducts = false;
  host.isMicrocontroller = false;
  return host;
}

llvm::ArrayRef<TargetInfo> tinytrain::getTargets() {
  static const std::vector<TargetInfo> targets = {
      detectHost(),
      {"cortex-m4", "thumbv7em-none-gnueabihf", "cortex-m4", "", 32, 0, 0, 32, true, true},
      {"cortex-m7", "thumbv7em-none-gnueabihf", "cortex-m7", "-fp64", 32, 0, 0, 32, true, true},
      {"cortex-m33", "thumbv8m.main-none-gnueabihf", "cortex-m33", "", 32, 0, 0, 32, true, true},
      {"cortex-m55", "thumbv8.1m.main-none-gnueabihf", "cortex-m55", "", 32, 128, 128, 8, false,
       true},
      {"cortex-a72", "aarch64-none-elf", "cortex-a72", "", 64, 128, 64, 32, false, false},
      {"cortex-a76", "aarch64-none-elf", "cortex-a76", "", 64, 128, 64, 32, false, false},
  };
  return targets;
}

std::optional<TargetInfo> tinytrain::lookupTarget(llvm::StringRef name) {
  for (const TargetInfo &target : getTargets())
    if (target.name == name)
      return target;
  return std::nullopt;
}
