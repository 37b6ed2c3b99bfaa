/* Decoded trees: flat values in one pass and all others in two, in memory that is kept. */
#include "core/wire/tree.h"

#include <stdlib.h>
#include <string.h>

#include "core/wire/limits.h"
#include "mf_alloc.h"
#include "mf_test.h"

static mfi_slice slice_of(const void *bytes, size_t size)
{
    return (mfi_slice){bytes, size};
}
#define SLICE(literal) slice_of((literal), sizeof(literal) - 1)

static void check_decodes(mfi_tree *tree, mfi_slice bytes, mf_value wanted)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_tree_decode(tree, bytes, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(mf_value_equal(&tree->root, &wanted));
}

static void test_flat_and_nested_values_are_read(void)
{
    mfi_tree tree;
    mfi_tree_init(&tree);
    mf_check_int(tree.root.type, MF_TYPE_NIL);
    check_decodes(&tree, SLICE("\x07"), mf_int(7));
    mf_check_int(tree.count, 1);
    check_decodes(&tree, SLICE("\x90"), mf_array(NULL, 0));
    check_decodes(&tree, SLICE("\x93\xa2hi\xc3\xc4\x01x"), MF_ARRAY("hi", MF_TRUE, mf_bin("x", 1)));
    mf_check_int(tree.count, 4);
    check_decodes(&tree,
                  SLICE("\x82\xa1"
                        "a\x92\x01\x91\xa1x\xa1"
                        "b\x80"),
                  MF_MAP("a", MF_ARRAY(1, MF_ARRAY("x")), "b", mf_map(NULL, 0)));
    mf_check_int(tree.count, 8);
    mfi_tree_fini(&tree);
}

/* Texts end with a NUL in memory of the tree; bin and ext stay where they came from. */
static void test_texts_are_copied_and_bytes_are_not(void)
{
    static const char flat[] = "\x93\xa2hi\xc4\x02xy\xd4\x05z";
    static const char nested[] = "\x91\x93\xa2hi\xc4\x02xy\xd4\x05z";
    mfi_tree tree;
    mfi_tree_init(&tree);
    for (int i = 0; i < 2; i++) {
        const char *bytes = i == 0 ? flat : nested;
        mf_check_int(mfi_tree_decode(&tree, slice_of(bytes, strlen(bytes)), NULL), MF_OK);
        const mf_value *list = i == 0 ? &tree.root : mf_value_at(&tree.root, 0);
        const mf_value *items = list->as.items;
        mf_check_str(items[0].as.str, "hi");
        mf_check(items[0].as.str < bytes || items[0].as.str >= bytes + strlen(bytes));
        mf_check((const char *)items[1].as.bytes == strstr(bytes, "xy"));
        mf_check((const char *)items[2].as.bytes == strchr(bytes, 'z'));
        mf_check_int(items[2].ext_type, 5);
    }
    mfi_tree_fini(&tree);
}

static void check_refused(mfi_tree *tree, mfi_slice bytes, mf_status wanted, const char *message)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_tree_decode(tree, SLICE("\x92\x01\x02"), &error), MF_OK);
    mf_check_int(mfi_tree_decode(tree, bytes, &error), wanted);
    mf_check_str(error.message, message);
    mf_check_int(tree->root.type, MF_TYPE_NIL); /* nothing of the one before */
}

static void test_only_one_value_that_fills_the_slice(void)
{
    mfi_tree tree;
    mfi_tree_init(&tree);
    check_refused(&tree, slice_of(NULL, 0), MF_ERR_PROTOCOL,
                  "value (byte 0): the msgpack ends too early");
    check_refused(&tree, SLICE("\x01\x01"), MF_ERR_PROTOCOL, "1 bytes follow the msgpack value");
    check_refused(&tree, SLICE("\x91\x01\xc0\xc0"), MF_ERR_PROTOCOL,
                  "2 bytes follow the msgpack value");
    check_refused(&tree, SLICE("\x92\x01\xa2x"), MF_ERR_PROTOCOL,
                  "value[1] (byte 2): the msgpack ends too early");
    tree.name = "result";
    check_refused(&tree, SLICE("\x92\x01\xa1\xff"), MF_ERR_PROTOCOL,
                  "result[1] (byte 2): a str that is not UTF-8");
    mfi_tree_fini(&tree);
}

static void test_limits_hold_for_flat_and_nested_values(void)
{
    static const mfi_limits small = {.string_bytes = 4, .items = 2};
    mfi_tree tree;
    mfi_tree_init(&tree);
    tree.limits = &small;
    check_refused(&tree, SLICE("\x93\x01\x02\x03"), MF_ERR_LIMIT,
                  "value (byte 0): array of 3 items, more than max_items (2)");
    check_refused(&tree, SLICE("\xa5hello"), MF_ERR_LIMIT,
                  "value (byte 0): str of 5 bytes, more than max_string_bytes (4)");
    check_refused(&tree, SLICE("\x92\x01\xa5hello"), MF_ERR_LIMIT,
                  "value[1] (byte 2): str of 5 bytes, more than max_string_bytes (4)");
    check_refused(&tree, SLICE("\x91\x93\x01\x02\x03"), MF_ERR_LIMIT,
                  "value[0] (byte 1): array of 3 items, more than max_items (2)");
    tree.limits = NULL; /* the defaults */
    check_decodes(&tree, SLICE("\x93\x01\x02\x03"), MF_ARRAY(1, 2, 3));
    mfi_tree_fini(&tree);
}

/* Beyond 4096 bytes a flat value too is counted before memory is asked for. */
static void test_long_flat_values_are_read(void)
{
    enum { COUNT = 5000 };
    static uint8_t bytes[3 + COUNT];
    mfi_tree tree;
    mfi_tree_init(&tree);
    memcpy(bytes, "\xdc\x13\x88", 3);
    memset(bytes + 3, 7, COUNT);
    mf_check_int(mfi_tree_decode(&tree, slice_of(bytes, sizeof bytes), NULL), MF_OK);
    mf_check_int(tree.root.length, COUNT);
    mf_check_int(tree.count, COUNT + 1);
    mf_check_int(tree.root.as.items[COUNT - 1].as.integer, 7);
    mf_check_int(tree.capacity, (COUNT + 1) * sizeof(mf_value));
    mfi_tree_fini(&tree);
}

static void test_memory_is_kept_until_it_is_trimmed(void)
{
    mfi_tree tree;
    mfi_tree_init(&tree);
    check_decodes(&tree, SLICE("\x94\x01\x02\x03\xa4long"), MF_ARRAY(1, 2, 3, "long"));
    const void *memory = tree.memory;
    size_t capacity = tree.capacity;
    long before = mf_alloc_count();
    check_decodes(&tree, SLICE("\x91\xa1x"), MF_ARRAY("x"));
    check_decodes(&tree, SLICE("\x91\x91\xc0"), MF_ARRAY(MF_ARRAY(mf_nil())));
    mf_check_int(mf_alloc_count(), before);
    mf_check(tree.memory == memory && tree.capacity == capacity);
    mfi_tree_trim(&tree, capacity);
    mf_check(tree.memory == memory);
    mf_check_int(tree.root.type, MF_TYPE_ARRAY);
    mfi_tree_trim(&tree, capacity - 1);
    mf_check(tree.memory == NULL);
    mf_check_int(tree.capacity, 0);
    mf_check_int(tree.root.type, MF_TYPE_NIL);
    check_decodes(&tree, SLICE("\x91\xa1x"), MF_ARRAY("x"));
    mfi_tree_fini(&tree);
    mf_check(tree.memory == NULL);
}

static void test_missing_memory_is_an_error(void)
{
    static const char *const texts[] = {"\x91\xa1x", "\x91\x91\xa1x"};
    for (size_t i = 0; i < 2; i++) {
        mfi_tree tree;
        mf_error error = MF_ERROR_INIT;
        mfi_tree_init(&tree);
        mf_alloc_fail_at(0);
        mf_check_int(mfi_tree_decode(&tree, slice_of(texts[i], strlen(texts[i])), &error),
                     MF_ERR_NO_MEMORY);
        mf_check(mf_alloc_stop());
        mf_check_int(tree.root.type, MF_TYPE_NIL);
        mf_check_int(mfi_tree_decode(&tree, slice_of(texts[i], strlen(texts[i])), &error), MF_OK);
        mfi_tree_fini(&tree);
    }
}

static const mf_test tests[] = {
    {"tree__flat_and_nested_values_are_read", test_flat_and_nested_values_are_read},
    {"tree__texts_are_copied_and_bytes_are_not", test_texts_are_copied_and_bytes_are_not},
    {"tree__only_one_value_that_fills_the_slice", test_only_one_value_that_fills_the_slice},
    {"tree__limits_hold_for_flat_and_nested_values", test_limits_hold_for_flat_and_nested_values},
    {"tree__long_flat_values_are_read", test_long_flat_values_are_read},
    {"tree__memory_is_kept_until_it_is_trimmed", test_memory_is_kept_until_it_is_trimmed},
    {"tree__missing_memory_is_an_error", test_missing_memory_is_an_error},
};
MF_TEST_MAIN(tests)
