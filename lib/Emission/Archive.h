//===- Archive.h - Static libraries -----------------------------*- C++ -*-===//

#ifndef TINYTRAIN_LIB_EMISSION_ARCHIVE_H
#define TINYTRAIN_LIB_EMISSION_ARCHIVE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tinytrain {

struct ArchiveMember {
  llvm::StringRef name;
  llvm::StringRef contents;
};

/// Writes a GNU archive with a symbol table. The same members give the same
/// bytes: no time stamps, no owners.
llvm::Error writeStaticArchive(llvm::StringRef path, llvm::ArrayRef<ArchiveMember> members);

} // namespace tinytrain

#endif // TINYTRAIN_LIB_EMISSION_ARCHIVE_H
