// backend/cpu/tape/bfloat16.cpp: the elementwise table over bfloat16.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/bfloat16.cpp"
#include <hwy/foreach_target.h>

#define MICA_T bfloat16_t
#define MICA_TABLE bfloat16_kernels
#include "backend/cpu/tape/float-inl.h"
