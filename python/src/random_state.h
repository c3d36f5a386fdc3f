// python/src/random_state.h: the key that random functions use when none is given, one a thread.
#pragma once

#include "convert.h"

/** True for `mx.random.state`, a container of the key. */
bool is_random_state(nb::handle h);
/** The list with the key of this thread. */
nb::list random_state_list();
void set_random_key(const mx::array& key);
/** Splits the key: one half stays, the other is returned. */
mx::array next_random_key();
