/* The caps: their texts, which are the same both ways, and what options may make of them. */
#include "core/wire/limits.h"

#include <stdlib.h>
#include <string.h>

#include "core/wire/tree.h"
#include "core/wire/writer.h"
#include "mf_test.h"

static const mfi_limits small = {.string_bytes = 16, .items = 3};
static const mfi_limits large = {.string_bytes = MFI_MESSAGE_MAX_BYTES,
                                 .items = MFI_CONTAINER_MOST_ITEMS};
static const char seventeen[] = "seventeen letters";

/* A value as bytes, checked by nobody. */
static void pack(mfi_buf *buf, mf_value value)
{
    msgpack_packer packer;
    mfi_buf_init(buf, 0);
    mfi_packer_init(&packer, buf);
    mf_check_int(mfi_pack_value(&packer, &value, 0, "value", &large, NULL), MF_OK);
}

static mf_status encode(mf_value value, const char *name, mf_error *error)
{
    mfi_buf buf;
    msgpack_packer packer;
    mfi_buf_init(&buf, 0);
    mfi_packer_init(&packer, &buf);
    mf_status status = mfi_pack_value(&packer, &value, 0, name, &small, error);
    mfi_buf_fini(&buf);
    return status;
}

static mf_status decode(mf_value value, const char *name, mf_error *error)
{
    mfi_buf buf;
    mfi_tree tree;
    pack(&buf, value);
    mfi_tree_init(&tree);
    tree.limits = &small;
    tree.name = name;
    mf_status status = mfi_tree_decode(&tree, (mfi_slice){buf.data, buf.size}, error);
    mf_check_int(tree.root.type, MF_TYPE_NIL);
    mfi_tree_fini(&tree);
    mfi_buf_fini(&buf);
    return status;
}

/* Both ways, an error must say the path, what it is, how large, and which limit that broke. */
static void check_both(mf_value value, const char *path, const char *what)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(encode(value, "result", &error), MF_ERR_LIMIT);
    mf_check_int(error.code, MF_ERR_LIMIT);
    mf_check_contains(error.message, path);
    mf_check_contains(error.message, what);
    mf_check(strncmp(error.message, path, strlen(path)) == 0 && error.message[strlen(path)] == ':');
    memset(error.message, 0, sizeof error.message);
    mf_check_int(decode(value, "result", &error), MF_ERR_LIMIT);
    mf_check(strncmp(error.message + strlen(path), " (byte ", 7) == 0);
    mf_check_contains(error.message, path);
    mf_check_contains(error.message, what);
}

static void test_errors_name_limit_path_and_size(void)
{
    const char *str = "str of 17 bytes, more than max_string_bytes (16)";
    const char *bin = "bin of 17 bytes, more than max_string_bytes (16)";
    const char *array = "array of 4 items, more than max_items (3)";
    const char *map = "map of 4 items, more than max_items (3)";
    check_both(mf_str(seventeen), "result", str);
    check_both(MF_ARRAY(1, 2, MF_MAP("a", 1, "name", seventeen)), "result[2].name", str);
    check_both(MF_MAP("rows", MF_ARRAY(1, mf_bin(seventeen, 17))), "result.rows[1]", bin);
    check_both(MF_MAP("a", mf_array(NULL, 0), "rows", MF_ARRAY(0, MF_ARRAY(1, 2, 3, 4))),
               "result.rows[1]", array);
    check_both(MF_MAP("rows", MF_MAP("a", 1, "b", 2, "c", 3, "d", 4)), "result.rows", map);
    check_both(MF_MAP("a", 1, 7, MF_ARRAY(1, seventeen)), "result.7[1]", str);
    check_both(MF_MAP("a", 1, seventeen, 2), "result.seventeen letters", str); /* the key */
}

static void test_depth_is_named(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_value levels[102];
    levels[101] = mf_int(1);
    for (int i = 100; i >= 0; i--) {
        levels[i] = mf_array(&levels[i + 1], 1);
    }
    mf_check_int(encode(levels[1], "args", &error), MF_OK); /* a hundred */
    mf_check_int(encode(levels[0], "args", &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "args[0][0][0][0]");
    mf_check_contains(error.message, "...: nests 101 deep, more than the depth of 100");
    mf_document *document = NULL;
    char bytes[102];
    memset(bytes, 0x91, 101);
    bytes[101] = 1;
    mf_check_int(mf_document_decode(bytes, 102, &document, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "value[0][0][0][0]");
    mf_check_contains(error.message, "... (byte 100): nests 101 deep, more than the depth of 100");
}

static void test_malformed_utf8_is_placed(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_document *document = NULL;
    mf_check_int(mf_document_decode("\x92\1\x81\xa1k\xa2\xc3(", 8, &document, &error),
                 MF_ERR_PROTOCOL);
    mf_check_str(error.message, "value[1].k (byte 5): a str that is not UTF-8");
    mf_check_int(mf_document_decode("\x81\xa1\xff\1", 4, &document, &error), MF_ERR_PROTOCOL);
    mf_check_str(error.message, "value[0] (byte 1): a str that is not UTF-8"); /* the key itself */
    mf_check_int(mf_document_decode("\x91\xc1", 2, &document, &error), MF_ERR_PROTOCOL);
    mf_check_str(error.message, "value[0] (byte 1): byte 0xc1 begins no msgpack value");
    mf_check_int(mf_document_decode("\x92\1\xa5"
                                    "abc",
                                    6, &document, &error),
                 MF_ERR_PROTOCOL);
    mf_check_str(error.message, "value[1] (byte 2): the msgpack ends too early");
}

static void test_raised_limits_admit_more(void)
{
    size_t size = MFI_STRING_MAX_BYTES + 1;
    char *text = calloc(size, 1);
    mf_value value = mf_str_n(text, size);
    mf_error error = MF_ERROR_INIT;
    uint8_t *bytes = NULL;
    size_t encoded = 0;
    mf_check_int(mf_value_encode(&value, &bytes, &encoded, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message,
                      "value: str of 10485761 bytes, more than max_string_bytes (10485760)");
    mfi_buf buf;
    mfi_tree tree;
    pack(&buf, value);
    mfi_tree_init(&tree);
    mf_check_int(mfi_tree_decode(&tree, (mfi_slice){buf.data, buf.size}, &error), MF_ERR_LIMIT);
    tree.limits = &large;
    mf_check_int(mfi_tree_decode(&tree, (mfi_slice){buf.data, buf.size}, &error), MF_OK);
    mf_check_int(tree.root.length, size);
    mfi_tree_fini(&tree);
    mfi_buf_fini(&buf);
    free(text);
}

/* ---- Options ---- */

static void test_zero_takes_the_preset(void)
{
    size_t size = 0;
    mfi_limits limits = {0};
    mf_check_int(mfi_limit_pick("max_x", 0, 7, 10, 20, &size, NULL), MF_OK);
    mf_check_int(size, 7); /* which need not be within the bounds */
    mf_check_int(mfi_limits_pick(&limits, 0, 0, NULL), MF_OK);
    mf_check_int(limits.string_bytes, MFI_STRING_MAX_BYTES);
    mf_check_int(limits.items, MFI_CONTAINER_MAX_ITEMS);
}

static void check_out_of_range(int64_t given, const char *message)
{
    size_t size = 42;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_limit_pick("max_x", given, 7, 10, 20, &size, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, message);
    mf_check_int(size, 42);
}

static void test_bounds_belong_to_the_range(void)
{
    size_t size = 0;
    mf_check_int(mfi_limit_pick("max_x", 10, 7, 10, 20, &size, NULL), MF_OK);
    mf_check_int(size, 10);
    mf_check_int(mfi_limit_pick("max_x", 20, 7, 10, 20, &size, NULL), MF_OK);
    mf_check_int(size, 20);
    check_out_of_range(9, "max_x must be 10 to 20, not 9");
    check_out_of_range(21, "max_x must be 10 to 20, not 21");
    check_out_of_range(-15, "max_x must be 10 to 20, not -15");
}

static void test_limits_of_a_message_have_bounds(void)
{
    mfi_limits limits = {0};
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_limits_pick(&limits, 256, 16, &error), MF_OK);
    mf_check_int(limits.string_bytes, 256);
    mf_check_int(limits.items, 16);
    mf_check_int(mfi_limits_pick(&limits, 67108864, 16777216, &error), MF_OK);
    mf_check_int(limits.string_bytes, 67108864);
    mf_check_int(limits.items, 16777216);
    mf_check_int(mfi_limits_pick(&limits, 255, 16, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "max_string_bytes must be 256 to 67108864, not 255");
    mf_check_int(mfi_limits_pick(&limits, 256, 16777217, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "max_items must be 16 to 16777216, not 16777217");
}

static const mf_test tests[] = {
    {"limits__errors_name_limit_path_and_size", test_errors_name_limit_path_and_size},
    {"limits__depth_is_named", test_depth_is_named},
    {"limits__malformed_utf8_is_placed", test_malformed_utf8_is_placed},
    {"limits__raised_ones_admit_more", test_raised_limits_admit_more},
    {"limits__zero_takes_the_preset", test_zero_takes_the_preset},
    {"limits__bounds_belong_to_the_range", test_bounds_belong_to_the_range},
    {"limits__of_a_message_have_bounds", test_limits_of_a_message_have_bounds},
};
MF_TEST_MAIN(tests)
