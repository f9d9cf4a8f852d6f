//===- TargetInfo.cpp - The table of targets -------------------------------------===//

#include "lib/Target/TargetInfo.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#include <vector>

using namespace tinytrain;

static constexpr char kThumb7[] = "thumbv7em-none-gnueabihf";
static constexpr char kThumb8[] = "thumbv8m.main-none-gnueabihf";
static constexpr char kThumb81[] = "thumbv8.1m.main-none-gnueabihf";
static constexpr char kArm64[] = "aarch64-none-elf";

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
  bool isArm = llvm::StringRef(host.triple).starts_with("aarch64");
  bool avx512 = features.lookup("avx512f"), avx = features.lookup("avx");
  host.vectorBits = avx512 ? 512 : avx ? 256 : 128;
  host.minVectorBits = 64;
  host.floatRegisters = avx512 || isArm ? 32 : 16;
  if (isArm)
    host.byteProducts = features.lookup("dotprod") ? ByteProducts::SDOT : ByteProducts::SMULL;
  else if (avx512 ? features.lookup("avx512vnni") && features.lookup("avx512vl")
                  : features.lookup("avxvnni"))
    host.byteProducts = ByteProducts::VPDPBUSD;
  else
    host.byteProducts = ByteProducts::Plain;
  host.isMicrocontroller = false;
  return host;
}

llvm::ArrayRef<TargetInfo> tinytrain::getTargets() {
  static const std::vector<TargetInfo> targets = {
      detectHost(),
      {"cortex-m0plus", "thumbv6m-none-eabi", "cortex-m0plus", "", 32, 0, 0, 4, ByteProducts::Plain,
       true, /*hasFPU=*/false},
      {"cortex-m4", kThumb7, "cortex-m4", "", 32, 0, 0, 32, ByteProducts::SMLAD, true},
      {"cortex-m7", kThumb7, "cortex-m7", "-fp64", 32, 0, 0, 32, ByteProducts::SMLAD, true},
      {"cortex-m33", kThumb8, "cortex-m33", "", 32, 0, 0, 32, ByteProducts::SMLAD, true},
      {"cortex-m55", kThumb81, "cortex-m55", "", 32, 128, 128, 8, ByteProducts::VMLADAV, true},
      {"cortex-a72", kArm64, "cortex-a72", "", 64, 128, 64, 32, ByteProducts::SMULL, false},
      {"cortex-a76", kArm64, "cortex-a76", "", 64, 128, 64, 32, ByteProducts::SDOT, false},
  };
  return targets;
}

std::optional<TargetInfo> tinytrain::lookupTarget(llvm::StringRef name) {
  for (const TargetInfo &target : getTargets())
    if (target.name == name)
      return target;
  return std::nullopt;
}
