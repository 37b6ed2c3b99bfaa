/* msgpack-c as the judge of what the library reads and writes. */
#ifndef MF_TEST_UNPACKED_H
#define MF_TEST_UNPACKED_H

#include <stdbool.h>

#include <msgpack.h>
#include <multifrost/value.h>

/* Whether msgpack-c sees the value that we see. */
bool unpacked_equal(const msgpack_object *object, const mf_value *value);

#endif
