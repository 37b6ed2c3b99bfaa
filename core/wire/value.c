/* Reads, compares and unpacks values. */
#include <math.h>
#include <string.h>

#include <multifrost/value.h>

#include "base/error.h"
#include "core/wire/tree.h"

const char *mf_type_name(mf_type type)
{
    static const char *const names[] = {"nil", "bool",  "int", "uint", "float", "str",
                                        "bin", "array", "map", "ext",  "object"};
    size_t index = (size_t)type;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}

/* No value is of no type, as a key that mf_value_find() does not find. */
static mf_type type_of(const mf_value *value)
{
    return value == NULL ? MF_TYPE_NIL : (mf_type)value->type;
}

mf_status mf_value_get_bool(const mf_value *value, bool *ret_boolean)
{
    if (ret_boolean == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (type_of(value) != MF_TYPE_BOOL) {
        return MF_ERR_TYPE;
    }
    *ret_boolean = value->as.boolean;
    return MF_OK;
}

mf_status mf_value_get_int64(const mf_value *value, int64_t *ret_integer)
{
    if (ret_integer == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    mf_type type = type_of(value);
    if (type == MF_TYPE_INT) {
        *ret_integer = value->as.integer;
        return MF_OK;
    }
    /* Peers whose numbers are doubles send whole numbers beyond 32 bits as floats. */
    if (type == MF_TYPE_FLOAT && value->as.number >= -0x1p63 && value->as.number < 0x1p63 &&
        trunc(value->as.number) == value->as.number) {
        *ret_integer = (int64_t)value->as.number;
        return MF_OK;
    }
    return MF_ERR_TYPE;
}

mf_status mf_value_get_uint64(const mf_value *value, uint64_t *ret_integer)
{
    int64_t integer = 0;
    if (ret_integer == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    mf_type type = type_of(value);
    if (type == MF_TYPE_UINT) {
        *ret_integer = value->as.unsigned_integer;
        return MF_OK;
    }
    if (type == MF_TYPE_FLOAT && value->as.number >= 0x1p63 &&
        value->as.number < 0x1p64) { /* doubles this large are whole */
        *ret_integer = (uint64_t)value->as.number;
        return MF_OK;
    }
    if (mf_value_get_int64(value, &integer) != MF_OK || integer < 0) {
        return MF_ERR_TYPE;
    }
    *ret_integer = (uint64_t)integer;
    return MF_OK;
}

mf_status mf_value_get_double(const mf_value *value, double *ret_number)
{
    double number = 0;
    if (ret_number == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    mf_type type = type_of(value);
    if (type == MF_TYPE_FLOAT) {
        number = value->as.number;
    } else if (type == MF_TYPE_INT) {
        number = (double)value->as.integer;
        if (number >= 0x1p63 || (int64_t)number != value->as.integer) {
            return MF_ERR_TYPE;
        }
    } else if (type == MF_TYPE_UINT) {
        number = (double)value->as.unsigned_integer;
        if (number >= 0x1p64 || (uint64_t)number != value->as.unsigned_integer) {
            return MF_ERR_TYPE;
        }
    } else {
        return MF_ERR_TYPE;
    }
    *ret_number = number;
    return MF_OK;
}

mf_status mf_value_get_str(const mf_value *value, const char **ret_text)
{
    if (ret_text == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    if (type_of(value) != MF_TYPE_STR || value->as.str == NULL ||
        memchr(value->as.str, '\0', value->length) != NULL) {
        return MF_ERR_TYPE;
    }
    *ret_text = value->as.str;
    return MF_OK;
}

const mf_value *mf_value_at(const mf_value *array, uint32_t index)
{
    return type_of(array) == MF_TYPE_ARRAY && array->as.items != NULL && index < array->length
               ? &array->as.items[index]
               : NULL;
}

const mf_value *mf_value_find(const mf_value *map, const char *key)
{
    if (key == NULL || type_of(map) != MF_TYPE_MAP || map->as.items == NULL) {
        return NULL;
    }
    size_t length = strlen(key);
    for (uint32_t i = map->length; i > 0; i--) {
        const mf_value *candidate = &map->as.items[((size_t)i - 1) * 2];
        if (candidate->type == MF_TYPE_STR && candidate->length == length &&
            memcmp(candidate->as.str, key, length) == 0) {
            return candidate + 1;
        }
    }
    return NULL;
}

/* ---- Comparing ---- */

static bool scalars_equal(const mf_value *a, const mf_value *b)
{
    if (a->type != b->type || a->length != b->length || a->ext_type != b->ext_type) {
        return false;
    }
    switch ((mf_type)a->type) {
    case MF_TYPE_BOOL:
        return a->as.boolean == b->as.boolean;
    case MF_TYPE_INT:
    case MF_TYPE_UINT:
        return a->as.unsigned_integer == b->as.unsigned_integer;
    case MF_TYPE_FLOAT:
        return !(a->as.number < b->as.number) && !(a->as.number > b->as.number) &&
               isnan(a->as.number) == isnan(b->as.number);
    case MF_TYPE_STR:
    case MF_TYPE_BIN:
    case MF_TYPE_EXT:
        return a->length == 0 || memcmp(a->as.bytes, b->as.bytes, a->length) == 0;
    case MF_TYPE_OBJECT:
        return a->as.object == b->as.object;
    case MF_TYPE_NIL:
    case MF_TYPE_ARRAY:
    case MF_TYPE_MAP:
        break;
    }
    return true;
}

typedef struct pair {
    const mf_value *a, *b;
    uint32_t left;
} pair;

bool mf_value_equal(const mf_value *a, const mf_value *b)
{
    pair open[MF_VALUE_DEPTH_MAX + 2];
    size_t depth = 0;
    if (a == NULL || b == NULL) {
        return a == b;
    }
    open[0] = (pair){a, b, 1};
    for (;;) {
        while (open[depth].left == 0) {
            if (depth == 0) {
                return true;
            }
            depth--;
        }
        pair *top = &open[depth];
        const mf_value *left = top->a++;
        const mf_value *right = top->b++;
        top->left--;
        if (!scalars_equal(left, right)) {
            return false;
        }
        if (left->type == MF_TYPE_ARRAY || left->type == MF_TYPE_MAP) {
            if (depth + 1 >= sizeof open / sizeof open[0]) {
                return false; /* deeper than any value on the wire */
            }
            open[++depth] = (pair){left->as.items, right->as.items,
                                   left->type == MF_TYPE_MAP ? left->length * 2 : left->length};
        }
    }
}

/* ---- Unpacking ---- */

static mf_status read_out(const mf_value *value, const mf_out *out, const char **ret_wanted)
{
    int64_t integer = 0;
    mf_status status = MF_OK;
    if (out->to == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    switch (out->kind) {
    case MF_OUT_BOOL:
        *ret_wanted = "a bool";
        return mf_value_get_bool(value, out->to);
    case MF_OUT_INT32:
        *ret_wanted = "an integer of 32 bits";
        status = mf_value_get_int64(value, &integer);
        if (status != MF_OK || integer < INT32_MIN || integer > INT32_MAX) {
            return MF_ERR_TYPE;
        }
        *(int32_t *)out->to = (int32_t)integer;
        return MF_OK;
    case MF_OUT_INT64:
        *ret_wanted = "an integer";
        return mf_value_get_int64(value, out->to);
    case MF_OUT_UINT64:
        *ret_wanted = "an unsigned integer";
        return mf_value_get_uint64(value, out->to);
    case MF_OUT_DOUBLE:
        *ret_wanted = "a number";
        return mf_value_get_double(value, out->to);
    case MF_OUT_STR:
        *ret_wanted = "a str";
        return mf_value_get_str(value, out->to);
    case MF_OUT_VALUE:
        *(mf_value *)out->to = *value;
        return MF_OK;
    default:
        *ret_wanted = "something unknown";
        return MF_ERR_TYPE;
    }
}

mf_status mfi_value_read(const mf_value *value, const mf_out *out, const char *what,
                         mf_error *error)
{
    const char *wanted = "";
    mf_status status = read_out(value, out, &wanted);
    if (status == MF_ERR_INVALID_ARGUMENT) {
        return mfi_fail_null(error, "out.to");
    }
    return status == MF_OK ? MF_OK
                           : mfi_fail(error, MF_ERR_TYPE, "%s must be %s, not %s", what, wanted,
                                      mf_type_name((mf_type)value->type));
}

mf_status mf_values_unpack(const mf_value *values, uint32_t value_count, const mf_out *outs,
                           uint32_t count, mf_error *error)
{
    if (values == NULL && value_count > 0) {
        return mfi_fail_null(error, "values");
    }
    if (outs == NULL && count > 0) {
        return mfi_fail_null(error, "outs");
    }
    if (value_count != count) {
        return mfi_fail(error, MF_ERR_TYPE, "expected %u argument%s, got %u", (unsigned)count,
                        count == 1 ? "" : "s", (unsigned)value_count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *wanted = "";
        mf_status status = read_out(&values[i], &outs[i], &wanted);
        if (status == MF_ERR_INVALID_ARGUMENT) {
            return mfi_fail(error, status, "outs[%u].to is NULL", (unsigned)i);
        }
        if (status != MF_OK) {
            return mfi_fail(error, MF_ERR_TYPE, "argument %u must be %s, not %s", (unsigned)(i + 1),
                            wanted, mf_type_name((mf_type)values[i].type));
        }
    }
    return MF_OK;
}
