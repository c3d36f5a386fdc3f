// backend/cpu/tape/float64.cpp: the elementwise table over float64.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/tape/float64.cpp"
#include <hwy/foreach_target.h>

#define MICA_T double
#define MICA_TABLE float64_kernels
#include "backend/cpu/tape/float-inl.h"
