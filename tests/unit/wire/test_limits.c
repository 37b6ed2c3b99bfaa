/* Errors about limits name limit, path and size, and a faulty field does not spoil the others. */
#include <stdlib.h>
#include <string.h>

#include "core/wire/envelope.h"
#include "core/wire/limits.h"
#include "core/wire/tree.h"
#include "core/wire/writer.h"
#include "mf_test.h"

#define ID "5e0c1c2e-0000-4000-8000-000000000001"

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

static void test_whole_message_is_bounded(void)
{
    mfi_buf buf;
    mf_error error = MF_ERROR_INIT;
    mfi_call_fields call = {.id = ID, .function = {"f", 1}, .args = MF_ARGS(seventeen)};
    mfi_buf_init(&buf, 64);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_ERR_LIMIT);
    mf_check_str(error.message, "message: larger than max_message_bytes (64)");
    mf_check_int(buf.size, 0);
    mf_check(!buf.failed);
    mfi_buf_fini(&buf);
}

static void test_metadata_has_paths(void)
{
    mfi_buf buf;
    mf_error error = MF_ERROR_INIT;
    mf_value own = MF_MAP("tenant", MF_MAP("name", "\xff"));
    mfi_call_fields call = {.id = ID, .function = {"f", 1}, .metadata = &own};
    mfi_buf_init(&buf, 0);
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "metadata.tenant.name: ");
    own = MF_MAP(5, "five");
    mf_check_int(mfi_encode_call(&buf, &call, &error), MF_OK);
    mf_check(memmem(buf.data, buf.size,
                    "\xa1"
                    "5\xa4"
                    "five",
                    7) != NULL); /* a str key */
    mfi_buf_fini(&buf);
}

/* ---- What is left of a message with a fault ---- */

typedef struct outcome {
    mfi_buf buf;
    mfi_envelope envelope;
    mfi_reject reject;
    mf_status status;
    mf_error error;
} outcome;

/* A message of the usual fields with some changed or added: its bytes, then what is made of it. */
static void receive(outcome *to, mf_value message)
{
    mf_error error = MF_ERROR_INIT;
    to->error = error;
    pack(&to->buf, message);
    to->status = mfi_envelope_decode(to->buf.data, to->buf.size, &small, &to->envelope, &to->reject,
                                     &to->error);
}

static bool text_is(mfi_text text, const char *word)
{
    return text.data != NULL && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

static void check_answerable(const outcome *at, mf_status status, mfi_reject reject)
{
    mf_check_int(at->status, status);
    mf_check_int(at->reject, reject);
    mf_check_int(at->error.code, status);
    mf_check(at->envelope.well_formed);
    mf_check_int(at->envelope.type, MFI_MESSAGE_CALL);
    mf_check(text_is(at->envelope.id, "x1"));
    mf_check(at->envelope.namespace_present);
}

#define MESSAGE(...) MF_MAP("app", MFI_APP, "type", "call", __VA_ARGS__)
/* The message's own map would break max_items too, so its limit is off here. */
static const mfi_limits short_strings = {.string_bytes = 16, .items = 9};

static void receive_fields(outcome *to, mf_value message)
{
    mf_error error = MF_ERROR_INIT;
    to->error = error;
    pack(&to->buf, message);
    to->status = mfi_envelope_decode(to->buf.data, to->buf.size, &short_strings, &to->envelope,
                                     &to->reject, &to->error);
}

static void test_oversize_field_leaves_the_rest(void)
{
    outcome at;
    receive_fields(&at, MESSAGE("args", MF_ARRAY(1, MF_MAP("name", seventeen)), "id", "x1",
                                "function", "f", "namespace", "default", "timestamp", 1.5));
    check_answerable(&at, MF_ERR_LIMIT, MFI_REJECT_OVERSIZE);
    mf_check(at.envelope.args.data == NULL);
    mf_check(text_is(at.envelope.function, "f"));
    mf_check(text_is(at.envelope.namespace_name, "default"));
    mf_check(at.envelope.timestamp > 1 && at.envelope.timestamp < 2);
    mf_check_contains(at.error.message, "args[1].name (byte ");
    mf_check_contains(at.error.message, "str of 17 bytes, more than max_string_bytes (16)");
    mfi_buf_fini(&at.buf);

    mf_value ten = MF_ARRAY(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    receive_fields(
        &at, MESSAGE("id", "x1", "namespace", seventeen, "args", ten, "metadata", MF_MAP("k", 1)));
    check_answerable(&at, MF_ERR_LIMIT, MFI_REJECT_OVERSIZE);
    mf_check(at.envelope.namespace_name.data == NULL); /* present, and equal to none */
    mf_check(at.envelope.metadata.data != NULL);
    mf_check_contains(at.error.message, "namespace (byte "); /* the first fault */
    mfi_buf_fini(&at.buf);
}

static void test_deep_field_leaves_the_rest(void)
{
    mf_error error = MF_ERROR_INIT;
    mfi_envelope envelope;
    mfi_reject reject = MFI_REJECT_NONE;
    mfi_buf buf;
    mf_value fields = MESSAGE("id", "x1", "namespace", "default");
    pack(&buf, fields);
    buf.data[0] = 0x85; /* one pair more, added by hand */
    mfi_buf_append_str(&buf, "\xa4"
                             "args");
    for (int i = 0; i < 10000; i++) {
        mfi_buf_append_byte(&buf, 0x91);
    }
    mfi_buf_append_byte(&buf, 1);
    mf_check_int(mfi_envelope_decode(buf.data, buf.size, NULL, &envelope, &reject, &error),
                 MF_ERR_LIMIT);
    mf_check_int(reject, MFI_REJECT_OVERSIZE);
    mf_check(envelope.well_formed && text_is(envelope.id, "x1") && envelope.args.data == NULL);
    mf_check_contains(error.message, "args[0][0]");
    mf_check_contains(error.message, "depth of 100");
    mfi_buf_fini(&buf);
}

static void test_malformed_field_leaves_the_rest(void)
{
    outcome at;
    receive_fields(&at, MESSAGE("id", "x1", "function", mf_bin("\xff", 1), "namespace", "default",
                                "args", MF_ARRAY(1, "ab")));
    mf_check_int(at.status, MF_OK);
    uint8_t *text = memmem(at.buf.data, at.buf.size,
                           "\xa2"
                           "ab",
                           3);
    text[1] = 0xff;
    at.status =
        mfi_envelope_decode(at.buf.data, at.buf.size, NULL, &at.envelope, &at.reject, &at.error);
    check_answerable(&at, MF_ERR_PROTOCOL, MFI_REJECT_DECODE_ERROR);
    mf_check_contains(at.error.message, "args[1] (byte ");
    mf_check_contains(at.error.message, "not UTF-8");
    /* The same with a message that ends too early, or goes on: not to be answered. */
    for (size_t cut = 0; cut < at.buf.size; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, at.buf.data, cut);
        mf_check_int(mfi_envelope_decode(exact, cut, NULL, &at.envelope, &at.reject, &at.error),
                     MF_ERR_PROTOCOL);
        mf_check_int(at.reject, MFI_REJECT_DECODE_ERROR);
        mf_check(!at.envelope.well_formed);
        if (cut + 1 == at.buf.size) {
            mf_check(text_is(at.envelope.id, "x1")); /* what stood before the end */
        }
        free(exact);
    }
    mfi_buf_append_byte(&at.buf, 0xc0);
    mf_check_int(
        mfi_envelope_decode(at.buf.data, at.buf.size, NULL, &at.envelope, &at.reject, &at.error),
        MF_ERR_PROTOCOL);
    mf_check(!at.envelope.well_formed);
    mf_check_contains(at.error.message, "1 bytes follow");
    mfi_buf_fini(&at.buf);
}

static void test_strangers_stay_strangers(void)
{
    outcome at;
    receive_fields(&at, MF_MAP("app", "other", "type", "call", "id", "x1", "args", seventeen));
    mf_check_int(at.reject, MFI_REJECT_WRONG_APP);
    mfi_buf_fini(&at.buf);
    receive_fields(&at, MF_MAP("app", seventeen, "type", "call", "id", "x1"));
    mf_check_int(at.reject, MFI_REJECT_WRONG_APP);
    mfi_buf_fini(&at.buf);
    receive_fields(&at, MF_MAP("app", MFI_APP, "type", "party", "id", "x1", "args", seventeen));
    mf_check_int(at.reject, MFI_REJECT_UNKNOWN_TYPE);
    mfi_buf_fini(&at.buf);
    receive(&at, MESSAGE("id", "x1", "namespace", "default")); /* four pairs, three allowed */
    mf_check_int(at.status, MF_ERR_LIMIT);
    mf_check_int(at.reject, MFI_REJECT_OVERSIZE);
    mf_check(!at.envelope.well_formed);
    mf_check_contains(at.error.message,
                      "message (byte 0): map of 4 items, more than max_items (3)");
    mfi_buf_fini(&at.buf);
}

static const mf_test tests[] = {
    {"limits__errors_name_limit_path_and_size", test_errors_name_limit_path_and_size},
    {"limits__depth_is_named", test_depth_is_named},
    {"limits__malformed_utf8_is_placed", test_malformed_utf8_is_placed},
    {"limits__raised_ones_admit_more", test_raised_limits_admit_more},
    {"limits__whole_message_is_bounded", test_whole_message_is_bounded},
    {"limits__metadata_has_paths", test_metadata_has_paths},
    {"envelope__oversize_field_leaves_the_rest", test_oversize_field_leaves_the_rest},
    {"envelope__deep_field_leaves_the_rest", test_deep_field_leaves_the_rest},
    {"envelope__malformed_field_leaves_the_rest", test_malformed_field_leaves_the_rest},
    {"envelope__strangers_stay_strangers", test_strangers_stay_strangers},
};
MF_TEST_MAIN(tests)
