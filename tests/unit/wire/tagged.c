/* Compares values with the tagged JSON of the vectors. */
#include "tagged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const cJSON *tagged_member(const cJSON *tagged, const char *tag)
{
    return cJSON_IsObject(tagged) ? cJSON_GetObjectItemCaseSensitive(tagged, tag) : NULL;
}

/* The content of {"$tag": content}, or NULL. */
static const cJSON *only_member(const cJSON *tagged, const char *tag)
{
    return cJSON_GetArraySize(tagged) == 1 ? tagged_member(tagged, tag) : NULL;
}

static bool bytes_equal(const char *hex, const mf_value *value)
{
    char byte[3] = "";
    if (strlen(hex) != (size_t)value->length * 2) {
        return false;
    }
    for (uint32_t i = 0; i < value->length; i++) {
        memcpy(byte, hex + (size_t)i * 2, 2);
        if (strtoul(byte, NULL, 16) != value->as.bytes[i]) {
            return false;
        }
    }
    return true;
}

static bool str_equal(const char *text, const mf_value *value)
{
    size_t at = 0;
    if (value->type != MF_TYPE_STR) {
        return false;
    }
    for (uint32_t i = 0; i < value->length; i++) {
        bool is_nul = strncmp(text + at, TAGGED_NUL, 3) == 0;
        if (text[at] == '\0' || value->as.str[i] != (is_nul ? '\0' : text[at])) {
            return false;
        }
        at += is_nul ? 3 : 1;
    }
    return text[at] == '\0';
}

static bool double_equal(double a, double b)
{
    return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0;
}

static bool large_int_equal(const char *digits, const mf_value *value)
{
    return value->type == MF_TYPE_UINT
               ? strtoull(digits, NULL, 10) == value->as.unsigned_integer
               : value->type == MF_TYPE_INT && strtoll(digits, NULL, 10) == value->as.integer;
}

static bool ext_equal(const cJSON *ext, const mf_value *value)
{
    return value->type == MF_TYPE_EXT && value->ext_type == cJSON_GetArrayItem(ext, 0)->valueint &&
           bytes_equal(cJSON_GetArrayItem(ext, 1)->valuestring, value);
}

/* [[key, value], ...] */
static bool pairs_equal(const cJSON *pairs, const mf_value *value)
{
    const mf_value *at = value->as.items;
    bool equal = value->type == MF_TYPE_MAP && value->length == (uint32_t)cJSON_GetArraySize(pairs);
    for (const cJSON *pair = pairs->child; equal && pair != NULL; pair = pair->next, at += 2) {
        equal = tagged_equal(pair->child, at) && tagged_equal(pair->child->next, at + 1);
    }
    return equal;
}

/* The first `least` elements, of which the JSON has them all or some. */
static bool array_begins(const cJSON *array, const mf_value *value)
{
    uint32_t i = 0;
    bool equal = value->type == MF_TYPE_ARRAY;
    for (const cJSON *item = array->child; equal && item != NULL; item = item->next) {
        equal = i < value->length && tagged_equal(item, &value->as.items[i]);
        i++;
    }
    return equal;
}

static bool object_begins(const cJSON *object, const mf_value *value)
{
    uint32_t i = 0;
    bool equal = value->type == MF_TYPE_MAP;
    for (const cJSON *item = object->child; equal && item != NULL; item = item->next) {
        const mf_value *pair = &value->as.items[(size_t)i * 2];
        equal = i < value->length && str_equal(item->string, pair) && tagged_equal(item, pair + 1);
        i++;
    }
    return equal;
}

/* {"$long_str": [start, bytes]} and its like. */
static bool long_equal(const cJSON *tagged, const mf_value *value, bool *ret_equal)
{
    static const struct {
        const char *tag;
        mf_type type;
    } tags[] = {{"$long_str", MF_TYPE_STR},
                {"$long_bin", MF_TYPE_BIN},
                {"$long_array", MF_TYPE_ARRAY},
                {"$long_map", MF_TYPE_MAP}};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        const cJSON *content = only_member(tagged, tags[i].tag);
        if (content == NULL) {
            continue;
        }
        const cJSON *start = content->child;
        mf_value begin = *value;
        bool equal = value->type == tags[i].type && value->length == start->next->valuedouble;
        if (tags[i].type == MF_TYPE_STR) {
            begin.length = (uint32_t)strlen(start->valuestring);
            *ret_equal =
                equal && begin.length <= value->length && str_equal(start->valuestring, &begin);
        } else if (tags[i].type == MF_TYPE_BIN) {
            begin.length = (uint32_t)strlen(start->valuestring) / 2;
            *ret_equal =
                equal && begin.length <= value->length && bytes_equal(start->valuestring, &begin);
        } else if (tags[i].type == MF_TYPE_ARRAY) {
            *ret_equal = equal && array_begins(start, value);
        } else {
            *ret_equal = equal && object_begins(start, value);
        }
        return true;
    }
    return false;
}

static bool object_equal(const cJSON *tagged, const mf_value *value)
{
    const cJSON *content = NULL;
    bool equal = false;
    if ((content = only_member(tagged, "$int")) != NULL) {
        return large_int_equal(content->valuestring, value);
    }
    if ((content = only_member(tagged, "$f64")) != NULL) {
        return value->type == MF_TYPE_FLOAT &&
               double_equal(strtod(content->valuestring, NULL), value->as.number);
    }
    if ((content = only_member(tagged, "$f32")) != NULL) {
        return value->type == MF_TYPE_FLOAT &&
               double_equal((double)strtof(content->valuestring, NULL), value->as.number);
    }
    if ((content = only_member(tagged, "$bin")) != NULL) {
        return value->type == MF_TYPE_BIN && bytes_equal(content->valuestring, value);
    }
    if ((content = only_member(tagged, "$ext")) != NULL) {
        return ext_equal(content, value);
    }
    if ((content = only_member(tagged, "$pairs")) != NULL) {
        return pairs_equal(content, value);
    }
    if (long_equal(tagged, value, &equal)) {
        return equal;
    }
    return (uint32_t)cJSON_GetArraySize(tagged) == value->length && object_begins(tagged, value);
}

bool tagged_equal(const cJSON *tagged, const mf_value *value)
{
    if (cJSON_IsNull(tagged)) {
        return value->type == MF_TYPE_NIL;
    }
    if (cJSON_IsBool(tagged)) {
        return value->type == MF_TYPE_BOOL && value->as.boolean == (bool)cJSON_IsTrue(tagged);
    }
    if (cJSON_IsNumber(tagged)) { /* integers alone; all of them exact */
        return value->type == MF_TYPE_INT && value->as.integer == (int64_t)tagged->valuedouble;
    }
    if (cJSON_IsString(tagged)) {
        return str_equal(tagged->valuestring, value);
    }
    if (cJSON_IsArray(tagged)) {
        return (uint32_t)cJSON_GetArraySize(tagged) == value->length && array_begins(tagged, value);
    }
    return object_equal(tagged, value);
}

static bool is_changed(const cJSON *tagged)
{
    const cJSON *large = only_member(tagged, "$int");
    const cJSON *number = only_member(tagged, "$f64");
    return (large != NULL && large->valuestring[0] != '-' &&
            strtoull(large->valuestring, NULL, 10) > INT64_MAX) ||
           (number != NULL && !isfinite(strtod(number->valuestring, NULL))) ||
           only_member(tagged, "$pairs") != NULL;
}

static bool any(const cJSON *tagged, bool (*is)(const cJSON *))
{
    bool found = is(tagged);
    for (const cJSON *child = tagged->child; !found && child != NULL; child = child->next) {
        found = any(child, is);
    }
    return found;
}

static bool is_ext(const cJSON *tagged)
{
    return only_member(tagged, "$ext") != NULL;
}

bool tagged_needs_change(const cJSON *tagged)
{
    return any(tagged, is_changed);
}

bool tagged_has_ext(const cJSON *tagged)
{
    return any(tagged, is_ext);
}
