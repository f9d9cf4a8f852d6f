# Sets <NAME>_DIR to <package>/lib/cmake/<package> when the Python interpreter
# has a package of that name holding such a directory, and <NAME>_DIR is unset or
# stale (a build directory outlives the build-isolation environment it names).
#
# Usage: tinytrain_python_package_hint(MLIR mlir)
function(tinytrain_python_package_hint name package)
  if(EXISTS "${${name}_DIR}/${name}Config.cmake")
    return()
  endif()
  # find_spec reads no package code, and knows build-isolation environments.
  execute_process(
    COMMAND "${Python3_EXECUTABLE}" -c
      "import importlib.util as u; s = u.find_spec('${package}'); print(*(s.submodule_search_locations or []) if s else [], sep=';', end='')"
    OUTPUT_VARIABLE roots
    ERROR_QUIET)
  foreach(root IN LISTS roots)
    file(TO_CMAKE_PATH "${root}/lib/cmake/${package}" dir)
    if(EXISTS "${dir}/${name}Config.cmake")
      set(${name}_DIR "${dir}" CACHE PATH "The directory of ${name}Config.cmake" FORCE)
      return()
    endif()
  endforeach()
endfunction()
