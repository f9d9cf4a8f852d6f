/*===- Statistics.h - C API of pass statistics ----------------------*- C -*-===*/

#ifndef TINYTRAIN_LIB_CAPI_STATISTICS_H
#define TINYTRAIN_LIB_CAPI_STATISTICS_H

#include "mlir-c/Pass.h"
#include "mlir-c/Support.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the tinytrain passes of one pass manager count. */
typedef struct {
  void *ptr;
} TinyTrainStatistics;

/* Counts from now on, whenever the pass manager runs. */
MLIR_CAPI_EXPORTED TinyTrainStatistics tinytrainStatisticsCreate(MlirPassManager manager);
MLIR_CAPI_EXPORTED void tinytrainStatisticsDestroy(TinyTrainStatistics statistics);

/* Calls back once per statistic of each run of a pass on an op; `symbol` is the op's name. */
MLIR_CAPI_EXPORTED void
tinytrainStatisticsForEach(TinyTrainStatistics statistics,
                           void (*callback)(MlirStringRef pass, MlirStringRef symbol,
                                            MlirStringRef name, uint64_t value, void *userData),
                           void *userData);

#ifdef __cplusplus
}
#endif

#endif /* TINYTRAIN_LIB_CAPI_STATISTICS_H */
