/* Reading and comparing values. */
#include <math.h>
#include <string.h>

#include <multifrost/ext.h>
#include <multifrost/value.h>

#include "core/wire/tree.h"
#include "mf_test.h"

static void test_types_have_names(void)
{
    static const char *const names[] = {"nil", "bool",  "int", "uint", "float", "str",
                                        "bin", "array", "map", "ext",  "object"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        mf_check_str(mf_type_name((mf_type)i), names[i]);
    }
    mf_check_str(mf_type_name((mf_type)11), "unknown");
    mf_check_str(mf_type_name((mf_type)-1), "unknown");
}

/* ---- Scalars ---- */

/* What a value is as each of the C types; NULL where it is none. */
static void check_int64(mf_value value, const int64_t *wanted)
{
    int64_t got = 42;
    mf_check_int(mf_value_get_int64(&value, &got), wanted != NULL ? MF_OK : MF_ERR_TYPE);
    mf_check_int(got, wanted != NULL ? *wanted : 42);
}
#define IS_INT64(value, number) check_int64((value), &(const int64_t){number})

static void check_uint64(mf_value value, const uint64_t *wanted)
{
    uint64_t got = 42;
    mf_check_int(mf_value_get_uint64(&value, &got), wanted != NULL ? MF_OK : MF_ERR_TYPE);
    mf_check(got == (wanted != NULL ? *wanted : 42));
}
#define IS_UINT64(value, number) check_uint64((value), &(const uint64_t){number})

static void check_double(mf_value value, const double *wanted)
{
    double got = 42;
    mf_check_int(mf_value_get_double(&value, &got), wanted != NULL ? MF_OK : MF_ERR_TYPE);
    mf_check(memcmp(&got, wanted != NULL ? wanted : &(double){42}, sizeof got) == 0);
}
#define IS_DOUBLE(value, number) check_double((value), &(const double){number})

static void test_integers_are_what_is_whole(void)
{
    IS_INT64(mf_int(INT64_MIN), INT64_MIN);
    IS_INT64(mf_float(-0x1p63), INT64_MIN);
    IS_INT64(mf_float(3.0), 3);
    check_int64(mf_float(0x1p63), NULL);
    check_int64(mf_float(nextafter(-0x1p63, -INFINITY)), NULL);
    check_int64(mf_float(2.5), NULL);
    check_int64(mf_float((double)NAN), NULL);
    check_int64(mf_uint(UINT64_MAX), NULL);
    check_int64(mf_str("3"), NULL);
    check_int64(MF_TRUE, NULL);
}

static void test_unsigned_integers_reach_further(void)
{
    IS_UINT64(mf_uint(UINT64_MAX), UINT64_MAX);
    IS_UINT64(mf_int(7), 7);
    IS_UINT64(mf_float(0x1p63), UINT64_C(1) << 63);
    IS_UINT64(mf_float(7.0), 7);
    check_uint64(mf_int(-1), NULL);
    check_uint64(mf_float(-1.0), NULL);
    check_uint64(mf_float(0x1p64), NULL);
    check_uint64(mf_float(0.5), NULL);
    check_uint64(mf_nil(), NULL);
}

static void test_doubles_lose_nothing(void)
{
    IS_DOUBLE(mf_float(-0.0), -0.0);
    IS_DOUBLE(mf_int(-3), -3.0);
    IS_DOUBLE(mf_int(INT64_C(1) << 53), 0x1p53);
    check_double(mf_int((INT64_C(1) << 53) + 1), NULL);
    IS_DOUBLE(mf_int(INT64_MIN), -0x1p63);
    check_double(mf_int(INT64_MAX), NULL);
    IS_DOUBLE(mf_uint(UINT64_C(1) << 63), 0x1p63);
    check_double(mf_uint(UINT64_MAX), NULL);
    check_double(mf_str("1.5"), NULL);
}

static void test_bools_and_texts_are_nothing_else(void)
{
    bool flag = false;
    const char *text = "untouched";
    mf_value one = mf_int(1);
    mf_value yes = MF_TRUE;
    mf_value word = mf_str("word");
    mf_value cut = mf_str_n("a\0b", 3); /* would be cut short */
    mf_value bytes = mf_bin("word", 4);
    mf_check_int(mf_value_get_bool(&one, &flag), MF_ERR_TYPE);
    mf_check(!flag);
    mf_check_int(mf_value_get_bool(&yes, &flag), MF_OK);
    mf_check(flag);
    mf_check_int(mf_value_get_str(&cut, &text), MF_ERR_TYPE);
    mf_check_int(mf_value_get_str(&bytes, &text), MF_ERR_TYPE);
    mf_check_str(text, "untouched");
    mf_check_int(mf_value_get_str(&word, &text), MF_OK);
    mf_check_str(text, "word");
}

/* ---- Containers ---- */

static void test_elements_are_found(void)
{
    mf_value list = MF_ARRAY(1, 2);
    mf_value map = MF_MAP("a", 1, "ab", 2, "a", 3, 7, 4, "", 5);
    mf_check_int(mf_value_at(&list, 1)->as.integer, 2);
    mf_check(mf_value_at(&list, 2) == NULL);
    mf_check(mf_value_at(&map, 0) == NULL);
    mf_check_int(mf_value_find(&map, "a")->as.integer, 3); /* the last of equal keys */
    mf_check_int(mf_value_find(&map, "ab")->as.integer, 2);
    mf_check_int(mf_value_find(&map, "")->as.integer, 5);
    mf_check(mf_value_find(&map, "7") == NULL);
    mf_check(mf_value_find(&map, "b") == NULL);
    mf_check(mf_value_find(&list, "a") == NULL);
}

static void check_equal(mf_value a, mf_value b, bool wanted)
{
    mf_check(mf_value_equal(&a, &b) == wanted);
    mf_check(mf_value_equal(&b, &a) == wanted);
}

static void test_values_are_compared_in_depth(void)
{
    int objects[2];
    check_equal(mf_nil(), mf_nil(), true);
    check_equal(mf_int(1), mf_uint(1), true); /* one form for what fits */
    check_equal(mf_int(1), mf_float(1.0), false);
    check_equal(mf_float((double)NAN), mf_float((double)NAN), true);
    check_equal(mf_float((double)NAN), mf_float(0.0), false);
    check_equal(MF_TRUE, MF_FALSE, false);
    check_equal(mf_str("ab"), mf_str("ab"), true);
    check_equal(mf_str("ab"), mf_str("ac"), false);
    check_equal(mf_str("ab"), mf_bin("ab", 2), false);
    check_equal(mf_str_n(NULL, 0), mf_str(""), true);
    check_equal(mf_ext(1, "ab", 2), mf_ext(1, "ab", 2), true);
    check_equal(mf_ext(1, "ab", 2), mf_ext(2, "ab", 2), false);
    check_equal(mf_object(1, &objects[0]), mf_object(1, &objects[0]), true);
    check_equal(mf_object(1, &objects[0]), mf_object(1, &objects[1]), false);
    check_equal(MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 3)), 4),
                MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 3)), 4), true);
    check_equal(MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 3)), 4),
                MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 0)), 4), false);
    check_equal(MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 3)), 4),
                MF_ARRAY(1, MF_MAP("k", MF_ARRAY(2, 3)), 5), false);
    check_equal(MF_MAP("k", 1), MF_MAP("k", 2), false);
    check_equal(MF_ARRAY(1), MF_ARRAY(1, 2), false);
}

static void test_deeper_than_any_message_is_never_equal(void)
{
    enum { LEVELS = MF_VALUE_DEPTH_MAX + 10 };
    mf_value levels[LEVELS + 1];
    levels[LEVELS] = mf_int(1);
    for (int i = LEVELS - 1; i >= 0; i--) {
        levels[i] = mf_array(&levels[i + 1], 1);
    }
    mf_check(mf_value_equal(&levels[10], &levels[10]));
    mf_check(!mf_value_equal(&levels[0], &levels[0]));
}

/* ---- Unpacking ---- */

typedef struct targets {
    bool flag;
    int32_t small;
    int64_t integer;
    uint64_t natural;
    double number;
    const char *text;
    mf_value any;
} targets;

static mf_status unpack(const mf_value *args, uint32_t count, targets *to, mf_error *error)
{
    const mf_out outs[] = {MF_OUT(&to->flag),    MF_OUT(&to->small),  MF_OUT(&to->integer),
                           MF_OUT(&to->natural), MF_OUT(&to->number), MF_OUT(&to->text),
                           MF_OUT(&to->any)};
    return mf_values_unpack(args, count, outs, 7, error);
}

static void test_unpack_reads_each_type(void)
{
    targets to = {.flag = false};
    mf_error error = MF_ERROR_INIT;
    mf_value args = MF_ARRAY(MF_TRUE, -7, INT64_MIN, UINT64_MAX, 2.5, "text", MF_ARRAY(1));
    mf_check_int(unpack(args.as.items, 7, &to, &error), MF_OK);
    mf_check(to.flag && to.small == -7 && to.integer == INT64_MIN && to.natural == UINT64_MAX);
    mf_check(to.number > 2.4 && to.number < 2.6);
    mf_check_str(to.text, "text");
    mf_check(mf_value_equal(&to.any, &args.as.items[6]));
    mf_check_int(unpack(args.as.items, 6, &to, &error), MF_ERR_TYPE);
    mf_check_str(error.message, "expected 7 arguments, got 6");
    mf_check_int(mf_values_unpack(args.as.items, 7, (mf_out[]){MF_OUT(&to.flag)}, 1, &error),
                 MF_ERR_TYPE);
    mf_check_str(error.message, "expected 1 argument, got 7");
}

static void test_unpack_names_what_does_not_fit(void)
{
    static const char *const wanted[] = {
        "argument 1 must be a bool, not nil",
        "argument 2 must be an integer of 32 bits, not nil",
        "argument 3 must be an integer, not nil",
        "argument 4 must be an unsigned integer, not nil",
        "argument 5 must be a number, not nil",
        "argument 6 must be a str, not nil",
    };
    targets to = {.flag = false};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        mf_error error = MF_ERROR_INIT;
        mf_value items[] = {MF_TRUE,   mf_int(1),   mf_int(1), mf_int(1),
                            mf_int(1), mf_str("x"), mf_nil()};
        items[i] = mf_nil();
        mf_check_int(unpack(items, 7, &to, &error), MF_ERR_TYPE);
        mf_check_str(error.message, wanted[i]);
    }
}

static void test_read_names_both_types(void)
{
    int32_t small = 5;
    mf_error error = MF_ERROR_INIT;
    const mf_out out = MF_OUT(&small);
    const mf_out odd = {99, &small};
    mf_value values[] = {mf_int(INT32_MAX), mf_int(INT32_MIN), mf_int((int64_t)INT32_MAX + 1),
                         mf_int((int64_t)INT32_MIN - 1)};
    mf_check_int(mfi_value_read(&values[0], &out, "result", &error), MF_OK);
    mf_check_int(small, INT32_MAX);
    mf_check_int(mfi_value_read(&values[1], &out, "result", &error), MF_OK);
    mf_check_int(small, INT32_MIN);
    mf_check_int(mfi_value_read(&values[2], &out, "result", &error), MF_ERR_TYPE);
    mf_check_str(error.message, "result must be an integer of 32 bits, not int");
    mf_check_int(mfi_value_read(&values[3], &out, "result", NULL), MF_ERR_TYPE);
    mf_check_int(mfi_value_read(&values[0], &odd, "result", &error), MF_ERR_TYPE);
    mf_check_str(error.message, "result must be something unknown, not int");
    mf_check_int(small, INT32_MIN);
}

/* A chain of readers needs one check, at its end. */
static void test_readers_take_what_was_not_found(void)
{
    int64_t number = 7;
    uint64_t positive = 7;
    double real = 7;
    bool yes = true;
    const char *text = "seven";
    const mf_value map = MF_MAP("a", 1);
    const mf_value *none = mf_value_at(mf_value_find(&map, "b"), 0);
    mf_check(none == NULL && mf_value_find(NULL, "a") == NULL && mf_value_find(&map, NULL) == NULL);
    mf_check_int(mf_value_get_int64(none, &number), MF_ERR_TYPE);
    mf_check_int(mf_value_get_uint64(none, &positive), MF_ERR_TYPE);
    mf_check_int(mf_value_get_double(none, &real), MF_ERR_TYPE);
    mf_check_int(mf_value_get_bool(none, &yes), MF_ERR_TYPE);
    mf_check_int(mf_value_get_str(none, &text), MF_ERR_TYPE);
    mf_check(number == 7 && positive == 7 && real > 6 && yes);
    mf_check_str(text, "seven");
    mf_check(mf_value_equal(NULL, NULL) && !mf_value_equal(&map, NULL) &&
             !mf_value_equal(NULL, &map));
}

static void test_unpack_names_a_place_that_is_null(void)
{
    int64_t first = 0;
    const mf_value values[] = {mf_int(1), mf_int(2)};
    const mf_out outs[] = {MF_OUT(&first), mf_out_int64(NULL)};
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_values_unpack(values, 2, outs, 2, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "outs[1].to is NULL");
    mf_check_int(first, 1);
    mf_check_int(mfi_value_read(&values[0], &outs[1], "result", &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "out.to is NULL");
}

static const mf_test tests[] = {
    {"value__readers_take_what_was_not_found", test_readers_take_what_was_not_found},
    {"unpack__names_a_place_that_is_null", test_unpack_names_a_place_that_is_null},
    {"value__types_have_names", test_types_have_names},
    {"value__integers_are_what_is_whole", test_integers_are_what_is_whole},
    {"value__unsigned_integers_reach_further", test_unsigned_integers_reach_further},
    {"value__doubles_lose_nothing", test_doubles_lose_nothing},
    {"value__bools_and_texts_are_nothing_else", test_bools_and_texts_are_nothing_else},
    {"value__elements_are_found", test_elements_are_found},
    {"value__values_are_compared_in_depth", test_values_are_compared_in_depth},
    {"value__deeper_than_any_message_is_never_equal", test_deeper_than_any_message_is_never_equal},
    {"unpack__reads_each_type", test_unpack_reads_each_type},
    {"unpack__names_what_does_not_fit", test_unpack_names_what_does_not_fit},
    {"read__names_both_types", test_read_names_both_types},
};
MF_TEST_MAIN(tests)
