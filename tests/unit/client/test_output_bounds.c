/* What a peer prints by one message is bounded, however many lines the message has, and however
 * long they are. */
#include "core/client/calls/output.h"

#include <stdlib.h>
#include <string.h>

#include "client_rig.h"

#define WAITING_MOST 1024 /* lines that wait for on_output */

typedef struct bounds {
    client_rig rig;
    const char *text;
    size_t size;
    bool is_kept;
    uint32_t waiting;         /* lines, after the message was taken */
    _Atomic(size_t) shown;    /* lines that on_output got */
    _Atomic(size_t) bytes;    /* of these */
    _Atomic(size_t) too_long; /* number of these */
} bounds;

static void on_output(const char *line, size_t length, bool is_stderr, void *user_data)
{
    bounds *at = user_data;
    (void)line;
    (void)is_stderr;
    atomic_fetch_add(&at->bytes, length);
    atomic_fetch_add(&at->too_long, length > MFI_OUTPUT_MAX_BYTES ? 1 : 0);
    atomic_fetch_add(&at->shown, 1);
}

/* Callbacks run on the engine thread, so none runs meanwhile. */
static void take_on_engine(void *data)
{
    bounds *at = data;
    mfi_output *output = &at->rig.parent->calls.output;
    mfi_envelope envelope = {.type = MFI_MESSAGE_STDOUT, .output = {at->text, at->size}};
    at->is_kept = mfi_output_message(output, &envelope);
    at->waiting = atomic_load(&output->waiting);
}

static bool is_shown(void *data)
{
    bounds *at = data;
    return atomic_load(&at->shown) == at->waiting;
}

static void take(bounds *at, const char *text, size_t size)
{
    mf_parent_options options;
    *at = (bounds){.text = text, .size = size};
    rig_options(&options);
    options.on_output = on_output;
    options.user_data = at;
    rig_init(&at->rig, &options, true);
    rig_start(&at->rig);
    mfi_loop_call(at->rig.runtime->loop, take_on_engine, at);
    mf_check(mf_test_until(is_shown, at, MF_TEST_PATIENCE_MS));
    rig_fini(&at->rig);
}

static void test_many_lines_of_one_message_are_too_much(void)
{
    enum { LINES = 3 * WAITING_MOST };
    bounds at;
    char *text = malloc((size_t)2 * LINES);
    for (size_t i = 0; i < LINES; i++) {
        memcpy(text + 2 * i, "a\n", 2);
    }
    take(&at, text, (size_t)2 * LINES);
    mf_check(!at.is_kept);
    mf_check_int(at.waiting, WAITING_MOST);
    free(text);
}

static void test_a_long_line_comes_in_pieces(void)
{
    bounds at;
    size_t size = 5 * MFI_OUTPUT_MAX_BYTES;
    char *text = malloc(size);
    memset(text, 'a', size);
    take(&at, text, size);
    mf_check(at.is_kept);
    mf_check_int(atomic_load(&at.bytes), size);
    mf_check_int(atomic_load(&at.too_long), 0);
    free(text);
}

static const mf_test tests[] = {
    {"output__many_lines_of_one_message_are_too_much", test_many_lines_of_one_message_are_too_much},
    {"output__a_long_line_comes_in_pieces", test_a_long_line_comes_in_pieces},
};

MF_TEST_MAIN(tests)
