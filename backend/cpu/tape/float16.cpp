// backend/cpu/tape/float16.cpp: the elementwise table over float16.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/float16.cpp"
#include <hwy/foreach_target.h>

#define MICA_T float16_t
#define MICA_TABLE float16_kernels
#include "backend/cpu/tape/float-inl.h"
