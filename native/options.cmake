# ng_options: what every native target is compiled with. Results must not depend on the compiler's mood: no contraction of a*b+c,
# no -march=native, no -ffast-math; instruction sets beyond the baseline are named per file.
add_library(ng_options INTERFACE)
target_include_directories(ng_options INTERFACE "${PROJECT_SOURCE_DIR}/native")

if(MSVC AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")  # clang-cl
  target_compile_options(ng_options INTERFACE /W4 /clang:-ffp-contract=off $<$<BOOL:${NG_WERROR}>:/WX>)
elseif(MSVC)
  target_compile_options(ng_options INTERFACE /W4 /fp:precise /utf-8 $<$<BOOL:${NG_WERROR}>:/WX>)
else()
  target_compile_options(ng_options INTERFACE
    -ffp-contract=off
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # gcc 12 alarms falsely on std::string + (its bug 105329)
    $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wno-sign-conversion>  # part of -Wconversion in clang, not in gcc
    $<$<BOOL:${NG_WERROR}>:-Werror>)
endif()

if(NG_SANITIZE)
  target_compile_options(ng_options INTERFACE -fsanitize=${NG_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(ng_options INTERFACE -fsanitize=${NG_SANITIZE})
endif()

# One native folder: ng_add_folder(gguf SOURCES file.cpp ... DEPENDS tensor). DEPENDS names the folders it may include.
function(ng_add_folder folder)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(ng_${folder} STATIC ${arg_SOURCES})
  list(TRANSFORM arg_DEPENDS PREPEND ng_)
  target_link_libraries(ng_${folder} PUBLIC ng_options ${arg_DEPENDS})
endfunction()
