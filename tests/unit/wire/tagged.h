/* The tagged JSON of the vectors (tests/vectors/README.md), compared with values. */
#ifndef MF_TEST_TAGGED_H
#define MF_TEST_TAGGED_H

#include <stdbool.h>

#include <cjson/cJSON.h>
#include <multifrost/value.h>

/* cJSON ends texts at NUL, so those who read the vectors write this for it. */
#define TAGGED_NUL "\xee\x80\x80" /* U+E000 */

/* Whether the value is what the JSON says. */
bool tagged_equal(const cJSON *tagged, const mf_value *value);
/* Whether it holds something that is not sent as it is: NaN, infinities, integers beyond int64,
 * keys that are no str or there twice. */
bool tagged_needs_change(const cJSON *tagged);
/* Whether it holds an ext. */
bool tagged_has_ext(const cJSON *tagged);
/* Pure shapes that stand for a message that is not shown. */
const cJSON *tagged_member(const cJSON *tagged, const char *tag);

#endif
