//===- Statistics.cpp - C API of pass statistics --------------------------===//

#include "lib/CAPI/Statistics.h"

#include "mlir/CAPI/Pass.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

using namespace mlir;

namespace {

struct Record {
  std::string pass, symbol, name;
  uint64_t value;
};

/// Shared by the pass manager's instrumentation and its reader.
struct Records {
  std::mutex mutex;
  std::vector<Record> list;
};

/// Functions are processed on several threads, each by a clone of the pass.
class Recorder : public PassInstrumentation {
public:
  explicit Recorder(std::shared_ptr<Records> records) : records(std::move(records)) {}

  void runBeforePass(Pass *pass, Operation *) override {
    if (isOurs(pass))
      for (Pass::Statistic *statistic : pass->getStatistics())
        *statistic = 0;
  }

  void runAfterPass(Pass *pass, Operation *op) override {
    if (!isOurs(pass))
      return;
    auto symbol = op->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName());
    std::lock_guard<std::mutex> lock(records->mutex);
    for (Pass::Statistic *statistic : pass->getStatistics())
      records->list.push_back({pass->getArgument().str(), symbol ? symbol.str() : "",
                               statistic->getName(), statistic->getValue()});
  }

private:
  static bool isOurs(Pass *pass) { return pass->getArgument().contains("tinytrain"); }

  std::shared_ptr<Records> records;
};

using Handle = std::shared_ptr<Records>;

} // namespace

TinyTrainStatistics tinytrainStatisticsCreate(MlirPassManager manager) {
  auto *handle = new Handle(std::make_shared<Records>());
  unwrap(manager)->addInstrumentation(std::make_unique<Recorder>(*handle));
  return {handle};
}

void tinytrainStatisticsDestroy(TinyTrainStatistics statistics) {
  delete static_cast<Handle *>(statistics.ptr);
}

void tinytrainStatisticsForEach(TinyTrainStatistics statistics,
                                void (*callback)(MlirStringRef, MlirStringRef, MlirStringRef,
                                                 uint64_t, void *),
                                void *userData) {
  for (const Record &record : (*static_cast<Handle *>(statistics.ptr))->list)
    callback(wrap(StringRef(record.pass)), wrap(StringRef(record.symbol)),
             wrap(StringRef(record.name)), record.value, userData);
}
