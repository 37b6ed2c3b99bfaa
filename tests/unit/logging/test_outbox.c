/* The queue of one sink keeps its lines in order, within its bounds. */
#include <string.h>

#include "logging/outbox.h"
#include "mf_test.h"

static bool put(mfi_outbox *outbox, uint64_t seq, const char *text, size_t size)
{
    bool fits = mfi_outbox_fits(outbox, size);
    if (fits) {
        mfi_outbox_put(outbox,
                       (mfi_line){.first_seq = seq, .last_seq = seq, .size = (uint32_t)size}, text);
    }
    return fits;
}

/* Many times round: a text in two parts is the text that was put. */
static void test_lines_come_out_as_they_went_in(void)
{
    static char text[5000], got[5000];
    mfi_outbox outbox = {.text = NULL};
    uint64_t in = 0, out = 0, wrong = 0, split = 0;
    mf_check(mfi_outbox_init(&outbox));
    while (out < 2000) {
        memset(text, (int)('a' + in % 26), sizeof text);
        if (put(&outbox, in + 1, text, 1 + in * 7 % sizeof text)) {
            in++;
            continue;
        }
        struct iovec parts[2];
        const mfi_line *line = mfi_outbox_peek_at(&outbox, 0);
        int count = mfi_outbox_parts(&outbox, line->at, line->size, parts);
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            memcpy(got + size, parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        memset(text, (int)('a' + out % 26), sizeof text);
        wrong += line->last_seq != out + 1 || size != 1 + out * 7 % sizeof text;
        wrong += memcmp(got, text, size) != 0;
        split += count == 2;
        mfi_outbox_pop(&outbox);
        out++;
    }
    mf_check_int(wrong, 0);
    mf_check(split > 0);
    mf_check_int(mfi_outbox_head(&outbox), in);
    mf_check_int(mfi_outbox_tail(&outbox), out);
    mfi_outbox_fini(&outbox);
}

static void test_bounds(void)
{
    static char text[MFI_OUTBOX_BYTES];
    mfi_outbox outbox = {.text = NULL};
    mf_check(mfi_outbox_init(&outbox));
    mf_check(!put(&outbox, 1, text, MFI_OUTBOX_BYTES + 1));
    mf_check(put(&outbox, 1, text, MFI_OUTBOX_BYTES));
    mf_check(!put(&outbox, 2, text, 1));
    mf_check(!mfi_outbox_half_free(&outbox));
    mfi_outbox_pop(&outbox);
    mf_check(mfi_outbox_half_free(&outbox));
    uint64_t count = 0;
    while (put(&outbox, count + 2, text, 1)) {
        count++;
    }
    mf_check_int(count, MFI_OUTBOX_LINES - 1); /* a gap has room beside them */
    while (mfi_outbox_peek_at(&outbox, 0) != NULL) {
        mfi_outbox_pop(&outbox);
    }
    mfi_outbox_rewind(&outbox);
    mf_check_int(outbox.text_head % MFI_OUTBOX_BYTES, 0);
    mf_check(put(&outbox, 1, text, MFI_OUTBOX_BYTES));
    mfi_outbox_fini(&outbox);
}

/* A reader keeps its place while the consumer pops lines. */
static void test_reader_keeps_its_place(void)
{
    mfi_outbox outbox = {.text = NULL};
    uint64_t place = 0;
    mf_check(mfi_outbox_init(&outbox));
    mf_check(mfi_outbox_peek_from(&outbox, &place) == NULL);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        mf_check(put(&outbox, seq, "x", 1));
    }
    mf_check_int(mfi_outbox_peek_from(&outbox, &place)->last_seq, 1);
    mfi_outbox_pop(&outbox);
    mfi_outbox_pop(&outbox);
    place++;
    mf_check_int(mfi_outbox_peek_from(&outbox, &place)->last_seq, 3); /* 2 is popped */
    place++;
    mfi_outbox_pop(&outbox);
    mf_check_int(mfi_outbox_peek_from(&outbox, &place)->last_seq, 4);
    place += 2;
    mf_check(mfi_outbox_peek_from(&outbox, &place) == NULL);
    mfi_outbox_fini(&outbox);
}

static const mf_test tests[] = {
    {"outbox__lines_come_out_as_they_went_in", test_lines_come_out_as_they_went_in},
    {"outbox__bounds", test_bounds},
    {"outbox__reader_keeps_its_place", test_reader_keeps_its_place},
};
MF_TEST_MAIN(tests)
