/* Decodes every message of tests/vectors, captured or made by hand, and compares it with its line.
 * msgpack-c must read the encoded messages as equal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>
#include <multifrost/json.h>

#include "base/buf.h"
#include "core/wire/envelope_fast.h"
#include "core/wire/limits.h"
#include "core/wire/tree.h"
#include "mf_test.h"
#include "paths.h"
#include "tagged.h"
#include "unpacked.h"

/* What decoding makes of a message. */
typedef enum outcome {
    SOUND,
    WRONG_APP,
    UNKNOWN_TYPE,
    BROKEN,     /* not to be answered: no message at all */
    BAD_FIELD,  /* malformed within a field: to be answered */
    LARGE_FIELD /* over a limit within a field: to be answered */
} outcome;

/* The name of a line, or the beginning of its expected.c, and the one outcome that fits. The first
 * that matches counts; all that are not here are sound. */
static const struct {
    const char *match;
    outcome wanted;
} expectations[] = {
    /* Lines that say more by their name than by what they have in common with others. */
    {"js_parent_call_str_lone_surrogate", BAD_FIELD}, /* which is no UTF-8 */
    {"bad_app_bin", WRONG_APP},
    {"bad_app_int", WRONG_APP},
    {"bad_app_nil", WRONG_APP},
    {"bad_type_int", UNKNOWN_TYPE},
    {"bad_type_missing", UNKNOWN_TYPE},
    {"bad_type_nil", UNKNOWN_TYPE},
    {"bad_type_unknown", UNKNOWN_TYPE},
    {"bad_type_uppercase", UNKNOWN_TYPE},
    {"bad_wrong_app", WRONG_APP},
    {"bad_wrong_app_version", WRONG_APP},
    {"odd_reply_response_type_missing", UNKNOWN_TYPE},
    {"odd_reply_response_type_unknown", UNKNOWN_TYPE},
    {"odd_reply_response_wrong_app", WRONG_APP},
    {"odd_reply_result_array_100001", LARGE_FIELD},
    {"odd_reply_result_invalid_utf8", BAD_FIELD},
    {"odd_reply_empty_payload", BROKEN},
    {"odd_reply_garbage_payload", BROKEN},
    {"odd_reply_top_level_array", BROKEN},
    {"odd_reply_trailing_garbage", BROKEN},
    /* Of these the last frame is shown, which is not the one that counts. */
    {"bad_frames_empty_only", BROKEN},
    {"bad_frames_extra_trailing_frame", BROKEN},
    {"odd_reply_three_frames", BROKEN},
    /* What C should do. */
    {"drop, count it as a protocol error, keep serving", BROKEN},
    {"drop silently (no type)", UNKNOWN_TYPE},
    {"refuse with an error reply if id was read", LARGE_FIELD},
    {"refuse: over the shared limits", LARGE_FIELD},
    {"accept or refuse: 103 levels", LARGE_FIELD},
    {"error reply if the id is readable, else drop; never pass on", BAD_FIELD},
};

typedef struct counts {
    int lines, messages, files, sound, fast, refused, ignored, encoded, sanitized, unpacked;
} counts;
static counts total;

static void append_hex(mfi_buf *to, const char *hex)
{
    char byte[3] = "";
    for (; hex[0] != '\0'; hex += 2) {
        memcpy(byte, hex, 2);
        mfi_buf_append_byte(to, (uint8_t)strtoul(byte, NULL, 16));
    }
}

/* A frame: hex, or a list of hex and {"repeat": hex, "count": n}. */
static void append_frame(mfi_buf *to, const cJSON *frame)
{
    if (cJSON_IsString(frame)) {
        append_hex(to, frame->valuestring);
        return;
    }
    for (const cJSON *part = frame->child; part != NULL; part = part->next) {
        if (cJSON_IsString(part)) {
            append_hex(to, part->valuestring);
            continue;
        }
        const char *hex = cJSON_GetObjectItem(part, "repeat")->valuestring;
        int count = cJSON_GetObjectItem(part, "count")->valueint;
        for (int i = 0; i < count; i++) {
            append_hex(to, hex);
        }
    }
}

static void complain(const cJSON *line, const char *what, const char *detail)
{
    char message[512];
    (void)snprintf(message, sizeof message, "%s: %s %s",
                   cJSON_GetObjectItem(line, "name")->valuestring, what, detail);
    mf_check_str(message, "");
}

static const char *expected_text(const cJSON *line)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(line, "expected"), "c")->valuestring;
}

static outcome wanted_outcome(const cJSON *line)
{
    const char *name = cJSON_GetObjectItem(line, "name")->valuestring;
    const char *text = expected_text(line);
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        const char *match = expectations[i].match;
        if (strcmp(name, match) == 0 || strncmp(text, match, strlen(match)) == 0) {
            return expectations[i].wanted;
        }
    }
    return SOUND;
}

static outcome outcome_of(mf_status status, mfi_reject reject, const mfi_envelope *envelope)
{
    switch (reject) {
    case MFI_REJECT_NONE:
        mf_check_int(status, MF_OK);
        return SOUND;
    case MFI_REJECT_WRONG_APP:
        return WRONG_APP;
    case MFI_REJECT_UNKNOWN_TYPE:
        return UNKNOWN_TYPE;
    case MFI_REJECT_OVERSIZE:
        mf_check_int(status, MF_ERR_LIMIT);
        return envelope->well_formed ? LARGE_FIELD : BROKEN;
    case MFI_REJECT_DECODE_ERROR:
        break;
    }
    mf_check_int(status, MF_ERR_PROTOCOL);
    return envelope->well_formed ? BAD_FIELD : BROKEN;
}

/* ---- What we write and read, to msgpack-c ---- */

static void check_unpacks(const cJSON *line, const mf_value *value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    msgpack_unpacked unpacked;
    mf_error error = MF_ERROR_INIT;
    msgpack_unpacked_init(&unpacked);
    size_t at = 0;
    if (mf_value_encode(value, &bytes, &size, &error) != MF_OK) {
        complain(line, "is not encoded:", error.message);
    } else if (msgpack_unpack_next(&unpacked, (const char *)bytes, size, &at) !=
                   MSGPACK_UNPACK_SUCCESS ||
               at != size) {
        complain(line, "is not unpacked by msgpack-c", "");
    } else if (!unpacked_equal(&unpacked.data, value)) {
        complain(line, "is something else to msgpack-c", "");
    } else {
        total.unpacked++;
    }
    msgpack_unpacked_destroy(&unpacked);
    free(bytes);
}

/* What every peer can read must come out as it went in; the rest by way of mf_value_sanitize(). */
static void check_sent(const cJSON *line, const cJSON *decoded, const mf_value *root)
{
    mf_document *fit = NULL;
    mf_error error = MF_ERROR_INIT;
    if (mf_value_sanitize(root, &fit, &error) != MF_OK) {
        /* Keys of containers have no text: one hand-made line for arrays, one for maps. */
        mf_check_contains(error.message, "which has no text form");
        mf_check_contains(cJSON_GetObjectItem(line, "name")->valuestring, "bad_top_key_");
        return;
    }
    bool same = mf_value_equal(mf_document_root(fit), root);
    if (!tagged_has_ext(decoded) && same == tagged_needs_change(decoded)) {
        complain(line, same ? "was not changed by sanitizing" : "was changed by sanitizing", "");
    }
    total.sanitized += same ? 0 : 1;
    total.encoded += same ? 1 : 0;
    check_unpacks(line, mf_document_root(fit));
    mf_document_destroy(fit);
}

/* ---- Messages ---- */

static void check_field(const cJSON *line, const char *key, mfi_slice bytes, const mf_value *root)
{
    mfi_tree tree;
    mf_error error = MF_ERROR_INIT;
    const mf_value *wanted = mf_value_find(root, key);
    if (bytes.data == NULL || wanted == NULL) {
        if (bytes.data != NULL || wanted != NULL) {
            complain(line, "has, or has not, the field", key);
        }
        return;
    }
    mfi_tree_init(&tree);
    if (mfi_tree_decode(&tree, bytes, &error) != MF_OK) {
        complain(line, "cannot be read in its field:", error.message);
    } else if (!mf_value_equal(&tree.root, wanted)) {
        complain(line, "differs in the field", key);
    }
    mfi_tree_fini(&tree);
}

static void check_id(const cJSON *line, const mfi_envelope *envelope, const mf_value *root)
{
    const mf_value *id = mf_value_find(root, "id");
    bool is_str = id != NULL && id->type == MF_TYPE_STR;
    if (is_str != (envelope->id.data != NULL) ||
        (is_str && (id->length != envelope->id.size ||
                    memcmp(id->as.str, envelope->id.data, id->length) != 0))) {
        complain(line, "has another id", "");
    }
}

static void check_message(const cJSON *line, const mfi_buf *payload)
{
    const cJSON *decoded = cJSON_GetObjectItem(line, "decoded");
    mfi_envelope envelope;
    mfi_envelope fast;
    mfi_reject reject = MFI_REJECT_NONE;
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_status status =
        mfi_envelope_decode(payload->data, payload->size, NULL, &envelope, &reject, &error);
    outcome seen = outcome_of(status, reject, &envelope);
    bool refused = seen == BROKEN || seen == BAD_FIELD || seen == LARGE_FIELD;
    total.sound += seen == SOUND;
    total.refused += refused;
    total.ignored += seen == WRONG_APP || seen == UNKNOWN_TYPE;
    const char *difference = paths_differ(payload->data, payload->size);
    if (difference != NULL) {
        complain(line, "is read in two ways:", difference);
    }
    total.fast += mfi_envelope_decode_fast(payload->data, payload->size, NULL, &fast);
    if (seen != wanted_outcome(line)) {
        complain(line, expected_text(line), mf_error_text(&error));
    }
    if (mf_document_decode(payload->data, payload->size, &document, NULL) == MF_OK) {
        const mf_value *root = mf_document_root(document);
        if (!tagged_equal(decoded, root)) {
            complain(line, "is not what it should be", "");
        }
        if (envelope.well_formed) {
            check_id(line, &envelope, root);
            check_field(line, "args", envelope.args, root);
            check_field(line, "result", envelope.result, root);
            check_field(line, "metadata", envelope.metadata, root);
        }
        check_sent(line, decoded, root);
    } else if (!refused) {
        complain(line, "is refused as a value alone", "");
    }
    mf_document_destroy(document);
}

/* The registry's files are JSON of its own; that one lock file holds a number. */
static void check_file(const cJSON *line, const mfi_buf *content)
{
    const cJSON *decoded = cJSON_GetObjectItem(line, "decoded");
    mf_document *document = NULL;
    mf_error error = MF_ERROR_INIT;
    if (mf_value_from_json((const char *)content->data, content->size, &document, &error) !=
        MF_OK) {
        complain(line, "is no JSON:", error.message);
    } else if (cJSON_IsString(decoded)) {
        int64_t number = 0;
        mf_check_int(mf_value_get_int64(mf_document_root(document), &number), MF_OK);
        mf_check_int(number, strtoll(decoded->valuestring, NULL, 10));
    } else if (!tagged_equal(decoded, mf_document_root(document))) {
        complain(line, "is not what it should be", "");
    }
    mf_document_destroy(document);
}

static void check_line(const cJSON *line)
{
    const cJSON *frames = cJSON_GetObjectItem(line, "frames");
    mfi_buf payload;
    mfi_buf_init(&payload, 0);
    append_frame(&payload, cJSON_GetArrayItem(frames, cJSON_GetArraySize(frames) - 1));
    mf_check_int(payload.size, cJSON_GetObjectItem(line, "payload_len")->valueint);
    total.lines++;
    if (strcmp(cJSON_GetObjectItem(line, "direction")->valuestring, "registry-file") == 0) {
        total.files++;
        check_file(line, &payload);
    } else {
        total.messages++;
        check_message(line, &payload);
    }
    mfi_buf_fini(&payload);
}

/* Escaped NULs are told apart from the ends of cJSON's texts. */
static void mark_nuls(char *text)
{
    for (char *at = text; (at = strstr(at, "\\u0000")) != NULL; at += 6) {
        memcpy(at, "\\ue000", 6);
    }
}

static void test_every_line(void)
{
    FILE *file = fopen(mf_test_source_path("tests/vectors/vectors.jsonl"), "re");
    char *text = NULL;
    size_t capacity = 0;
    mf_check(file != NULL);
    while (file != NULL && getline(&text, &capacity, file) > 0) {
        mark_nuls(text);
        cJSON *line = cJSON_Parse(text);
        mf_check(line != NULL);
        if (line != NULL) {
            check_line(line);
        }
        cJSON_Delete(line);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(text);
    mf_check_int(total.lines, total.messages + total.files);
    mf_check(total.sound > 0 && total.refused > 0 && total.ignored > 0 && total.files > 0);
    mf_check(total.encoded > 0 && total.sanitized > 0 && total.unpacked > 0);
    mf_check(total.fast * 2 > total.sound);
    printf("vectors: %d lines, %d messages (%d sound, %d of them read fast, %d refused, %d "
           "ignored), %d files; "
           "%d sent as they are, %d sanitized, %d read equal by msgpack-c\n",
           total.lines, total.messages, total.sound, total.fast, total.refused, total.ignored,
           total.files, total.encoded, total.sanitized, total.unpacked);
}

static const mf_test tests[] = {
    {"vectors__every_line_is_what_it_says", test_every_line},
};
MF_TEST_MAIN(tests)
