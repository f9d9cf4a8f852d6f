//===- Rules.cpp - The one place that knows all rule families --------------------===//

#include "lib/Autodiff/Rules.h"

using namespace tinytrain;

void tinytrain::registerAutodiffRules(mlir::DialectRegistry &registry) {
  registry.addExtension(+[](mlir::MLIRContext *context, TinyTrainDialect *) {
    attachContractionRules(context);
    attachElementwiseRules(context);
    attachPoolingRules(context);
    attachQuantizationRules(context);
    attachReductionRules(context);
    attachShapeRules(context);
  });
}
