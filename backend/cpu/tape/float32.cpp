// backend/cpu/tape/float32.cpp: the elementwise table over float32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/float32.cpp"
#include <hwy/foreach_target.h>

#define MICA_T float
#define MICA_TABLE float32_kernels
#include "backend/cpu/tape/float-inl.h"
