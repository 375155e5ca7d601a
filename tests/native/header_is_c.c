/* The public header is C11: this file compiles, and a C caller gets what the C++ side meant. */
#include "include/nativegen.h"

uint32_t ng_test_abi_version_in_c(void) { return ng_abi_version(); }
size_t ng_test_error_bytes_in_c(void) { return sizeof(ng_error); }
