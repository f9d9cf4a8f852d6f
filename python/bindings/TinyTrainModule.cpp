//===- TinyTrainModule.cpp - The native part of the Python package --------===//

#include "lib/CAPI/Codegen.h"
#include "lib/CAPI/Registration.h"
#include "lib/CAPI/Statistics.h"

#include "mlir/Bindings/Python/Nanobind.h"
#include "mlir/Bindings/Python/NanobindAdaptors.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace nb = nanobind;
using namespace nanobind::literals;

namespace {

MlirStringRef toRef(std::string_view text) { return mlirStringRefCreate(text.data(), text.size()); }

MlirStringRef toRef(const nb::bytes &bytes) {
  return mlirStringRefCreate(static_cast<const char *>(bytes.data()), bytes.size());
}

/// Appends to the std::string at `userData`.
void appendTo(MlirStringRef text, void *userData) {
  static_cast<std::string *>(userData)->append(text.data, text.length);
}

[[noreturn]] void raise(const std::string &message) {
  throw nb::python_error(
      (PyErr_SetString(PyExc_RuntimeError, message.c_str()), nb::python_error()));
}

/// Owns a TinyTrainJitObject.
class JitObject {
public:
  explicit JitObject(const nb::bytes &object) {
    std::string error;
    jit = tinytrainJitObjectCreate(toRef(object), appendTo, &error);
    if (!jit.ptr)
      raise(error);
  }
  ~JitObject() { tinytrainJitObjectDestroy(jit); }
  JitObject(const JitObject &) = delete;
  JitObject &operator=(const JitObject &) = delete;

  uint64_t lookup(std::string_view name) {
    std::string error;
    uint64_t address = 0;
    if (!tinytrainJitObjectLookup(jit, toRef(name), &address, appendTo, &error))
      raise(error);
    return address;
  }

private:
  TinyTrainJitObject jit;
};

/// Owns a TinyTrainStatistics.
class Statistics {
public:
  explicit Statistics(MlirPassManager manager) : statistics(tinytrainStatisticsCreate(manager)) {}
  ~Statistics() { tinytrainStatisticsDestroy(statistics); }
  Statistics(const Statistics &) = delete;
  Statistics &operator=(const Statistics &) = delete;

  nb::list read() const {
    nb::list result;
    tinytrainStatisticsForEach(
        statistics,
        [](MlirStringRef pass, MlirStringRef symbol, MlirStringRef name, uint64_t value,
           void *userData) {
          auto text = [](MlirStringRef ref) { return nb::str(ref.data, ref.length); };
          static_cast<nb::list *>(userData)->append(
              nb::make_tuple(text(pass), text(symbol), text(name), value));
        },
        &result);
    return result;
  }

private:
  TinyTrainStatistics statistics;
};

TinyTrainFloatABI parseFloatABI(std::string_view name) {
  if (name.empty())
    return TinyTrainFloatABIFromTriple;
  if (name == "soft")
    return TinyTrainFloatABISoft;
  if (name == "hard")
    return TinyTrainFloatABIHard;
  throw nb::value_error("float_abi must be '', 'soft' or 'hard'");
}

bool parseReloc(std::string_view name) {
  if (name == "static")
    return false;
  if (name == "pic")
    return true;
  throw nb::value_error("reloc must be 'static' or 'pic'");
}

/// ir.Module is not an ir.Operation, but has one.
MlirOperation toOperation(nb::handle object) {
  if (nb::hasattr(object, "operation"))
    return nb::cast<MlirOperation>(object.attr("operation"));
  return nb::cast<MlirOperation>(object);
}

constexpr const char *emitDoc = R"(
Args:
  module: an ir.Module, or its operation, in the LLVM dialect. It is not changed.
  triple, cpu, features: as LLVM takes them, e.g. "thumbv7em-none-eabihf",
    "cortex-m7", "+fp-armv8d16". "" is the target's generic default.
  opt_level: 0 to 3.
  size_level: 1 and 2 mean -Os and -Oz (with opt_level 2).
  reloc: "static" or "pic". Code for JitObject must be "pic".
  float_abi: "soft", "hard", or "" for what the triple says.
  function_sections, data_sections: one section per symbol.
  unroll, vectorize, slp: parts of the optimization pipeline.
  fuse_fp: contract a*b+c to one rounding wherever possible.

Raises:
  RuntimeError: with the diagnostics of the translation or of LLVM.
)";

/// Defines `name` as an emit function. `Result` is nb::bytes or nb::str.
template <typename Result>
void defineEmit(nb::module_ &m, const char *name, const char *summary, TinyTrainOutputKind kind) {
  m.def(
      name,
      [kind](nb::handle module, std::string_view triple, std::string_view cpu,
             std::string_view features, unsigned optLevel, unsigned sizeLevel,
             std::string_view reloc, std::string_view floatABI, bool functionSections,
             bool dataSections, bool unroll, bool vectorize, bool slp, bool fuseFP) {
        MlirOperation operation = toOperation(module);
        TinyTrainCodegenOptions options = {};
        options.triple = toRef(triple);
        options.cpu = toRef(cpu);
        options.features = toRef(features);
        options.optLevel = optLevel;
        options.sizeLevel = sizeLevel;
        options.floatABI = parseFloatABI(floatABI);
        options.positionIndependent = parseReloc(reloc);
        options.functionSections = functionSections;
        options.dataSections = dataSections;
        options.loopUnrolling = unroll;
        options.loopVectorization = vectorize;
        options.slpVectorization = slp;
        options.fuseFloatingPoint = fuseFP;

        std::string output, error;
        bool ok;
        {
          nb::gil_scoped_release release;
          ok = tinytrainEmitModule(operation, kind, &options, appendTo, &output, appendTo, &error);
        }
        if (!ok)
          raise(error);
        return Result(output.data(), output.size());
      },
      "module"_a, "triple"_a, "cpu"_a = "", "features"_a = "", nb::kw_only(), "opt_level"_a = 2,
      "size_level"_a = 0, "reloc"_a = "static", "float_abi"_a = "", "function_sections"_a = true,
      "data_sections"_a = true, "unroll"_a = true, "vectorize"_a = true, "slp"_a = true,
      "fuse_fp"_a = false, (std::string(summary) + "\n" + emitDoc).c_str());
}

} // namespace

NB_MODULE(_tinytrain, m) {
  m.doc() = "Registration and code generation of tinytrain.";

  // Passes are registered per process, as upstream does on import.
  tinytrainRegisterAllPasses();
  m.def(
      "register_dialects",
      [](MlirDialectRegistry registry) { tinytrainRegisterAllDialects(registry); }, "registry"_a,
      "Adds the tinytrain dialect and all upstream dialects in use.");

  defineEmit<nb::bytes>(m, "emit_object", "Compiles a module to an ELF object.",
                        TinyTrainOutputObject);
  defineEmit<nb::str>(m, "emit_assembly", "Compiles a module to assembly.",
                      TinyTrainOutputAssembly);
  defineEmit<nb::str>(m, "emit_llvm_ir", "Translates a module to optimized LLVM IR.",
                      TinyTrainOutputLLVMIR);

  m.def(
      "targets",
      [] {
        nb::list targets;
        tinytrainForEachTarget(
            [](const TinyTrainTarget *target, void *userData) {
              auto text = [](MlirStringRef ref) { return nb::str(ref.data, ref.length); };
              nb::dict entry;
              entry["name"] = text(target->name);
              entry["triple"] = text(target->triple);
              entry["cpu"] = text(target->cpu);
              entry["features"] = text(target->features);
              entry["index_bits"] = target->indexBits;
              entry["is_microcontroller"] = target->isMicrocontroller;
              entry["has_fpu"] = target->hasFPU;
              static_cast<nb::list *>(userData)->append(entry);
            },
            &targets);
        return targets;
      },
      "The targets as dictionaries: name, triple, cpu, features, index_bits, is_microcontroller, "
      "has_fpu.");

  nb::class_<JitObject>(m, "JitObject",
                        "An ELF object for the host, linked into this process. "
                        "Its code is freed with it.")
      .def(nb::init<const nb::bytes &>(), "object"_a)
      .def("lookup", &JitObject::lookup, "name"_a, "The address of a symbol, for ctypes.");

  nb::class_<Statistics>(m, "Statistics", "What the tinytrain passes of a PassManager count.")
      .def(nb::init<MlirPassManager>(), "manager"_a)
      .def("read", &Statistics::read,
           "(pass, function, statistic, value) for each run of a pass on a function or module.");

  m.def(
      "write_archive",
      [](std::string_view path, const std::vector<std::pair<std::string, nb::bytes>> &members) {
        std::vector<TinyTrainArchiveMember> list;
        for (const auto &[name, contents] : members)
          list.push_back({toRef(name), toRef(contents)});
        std::string error;
        if (!tinytrainWriteArchive(toRef(path), list.size(), list.data(), appendTo, &error))
          raise(error);
      },
      "path"_a, "members"_a, "Writes a GNU static library from (member name, object) pairs.");

  m.def("instruction_hook", &tinytrainGetInstructionHook,
        "The address of a Unicorn block hook that counts instructions; see runtime/counting.py.");
}
