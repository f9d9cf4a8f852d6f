//===- Archive.cpp - Static libraries -------------------------------------===//

#include "lib/Emission/Archive.h"

#include "llvm/Object/Archive.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace tinytrain;

llvm::Error tinytrain::writeStaticArchive(llvm::StringRef path,
                                          llvm::ArrayRef<ArchiveMember> members) {
  std::vector<llvm::NewArchiveMember> newMembers;
  newMembers.reserve(members.size());
  for (const ArchiveMember &member : members)
    newMembers.emplace_back(llvm::MemoryBufferRef(member.contents, member.name));
  if (llvm::Error error =
          llvm::writeArchive(path, newMembers, llvm::SymtabWritingMode::NormalSymtab,
                             llvm::object::Archive::K_GNU, /*Deterministic=*/true, /*Thin=*/false))
    return llvm::createFileError(path, std::move(error));
  return llvm::Error::success();
}
