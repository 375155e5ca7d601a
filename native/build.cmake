# Configures and builds the native library for MSBuild (native.proj):
#   cmake -D SOURCE=<repository> -D BUILD=<build directory> -D CONFIGURATION=Release -P build.cmake
# On failure, one line in BUILD/problem.txt says why; a compiler's own messages go to the output as they are.
if(CMAKE_VERSION VERSION_LESS 3.22)
  file(WRITE "${BUILD}/problem.txt" "The native engine is built with CMake 3.22 or newer, and this is ${CMAKE_VERSION}. HOW_TO_INSTALL")
  message(FATAL_ERROR "CMake is too old")
endif()

# Builds of other processes wait here; the last one finds nothing left to do.
file(LOCK "${BUILD}/../native.lock" GUARD PROCESS)

function(configure result output)
  set(arguments -S "${SOURCE}" -B "${BUILD}" -D CMAKE_BUILD_TYPE=${CONFIGURATION} -D NG_BUILD_TESTS=OFF
      -D "CMAKE_LIBRARY_OUTPUT_DIRECTORY=${BUILD}/lib/$<0:>" -D "CMAKE_RUNTIME_OUTPUT_DIRECTORY=${BUILD}/lib/$<0:>")
  find_program(NINJA NAMES ninja ninja-build)
  if(NINJA AND NOT EXISTS "${BUILD}/CMakeCache.txt")
    list(APPEND arguments -G Ninja)
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" ${arguments} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  set(${result} ${code} PARENT_SCOPE)
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

configure(code text)
if(code AND EXISTS "${BUILD}/CMakeCache.txt")
  # A cache of another place, generator or compiler: start over once.
  file(REMOVE_RECURSE "${BUILD}/CMakeCache.txt" "${BUILD}/CMakeFiles")
  configure(code text)
endif()
file(WRITE "${BUILD}/configure.log" "${text}")
if(code)
  if(text MATCHES "CMAKE_CXX_COMPILER|CMAKE_MAKE_PROGRAM|compiler identification is unknown|Visual Studio")
    file(WRITE "${BUILD}/problem.txt" "The native engine is built with a C++20 compiler, and CMake found none that works. HOW_TO_INSTALL")
  else()
    file(WRITE "${BUILD}/problem.txt" "CMake refused to configure the native engine: ${BUILD}configure.log says why.")
  endif()
  message(FATAL_ERROR "not configured")
endif()

cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BUILD}" --config ${CONFIGURATION} --target nativegen --parallel ${cores} RESULT_VARIABLE code)
if(code)
  file(WRITE "${BUILD}/problem.txt" "The native engine did not compile: the compiler's messages are above, and all of them come with: cmake --build ${BUILD}")
  message(FATAL_ERROR "build failed")
endif()
