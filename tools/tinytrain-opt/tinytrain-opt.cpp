//===- tinytrain-opt.cpp - The optimizer driver ---------------------------===//

#include "lib/CAPI/Tools.h"

int main(int argc, char **argv) { return tinytrainOptMain(argc, argv); }
