/* Labels are escaped as both formats of the exposition require. */
#include "metrics/labels.h"

#include <stdlib.h>
#include <string.h>

#include "mf_alloc.h"
#include "mf_test.h"

static void check_escaped(const char *text, bool quotes, const char *wanted)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mfi_append_escaped(&buf, text, quotes);
    mfi_buf_append_byte(&buf, 0);
    mf_check_str((const char *)buf.data, wanted);
    mfi_buf_fini(&buf);
}

static void test_escapes(void)
{
    check_escaped("plain", true, "plain");
    check_escaped("a\\b\nc\"d", true, "a\\\\b\\nc\\\"d");
    check_escaped("a\\b\nc\"d", false, "a\\\\b\\nc\"d");
    check_escaped("a\xff"
                  "b",
                  true,
                  "a\xef\xbf\xbd"
                  "b");
    check_escaped("", true, "");
}

/* A text that could not be cleaned is not left out in silence. */
static void test_without_memory(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    (void)mfi_buf_reserve(&buf, 64);
    mf_alloc_fail_at(0);
    mfi_append_escaped(&buf, "a\xff", true);
    mf_check(mf_alloc_stop());
    mf_check(buf.failed && buf.no_memory);
    mfi_buf_fini(&buf);
}

static void test_series(void)
{
    static char first[] = "one";
    static char second[] = "two";
    static char *names[] = {first, second};
    mf_family family = {.label_names = names, .label_count = 2};
    mfi_series *series = calloc(1, sizeof *series + 2 * sizeof(char *));
    if (!mf_check(series != NULL)) {
        return;
    }
    series->values[0] = second;
    series->values[1] = first;
    if (mf_check(mfi_series_label(&family, series))) {
        static const char wanted[] = "one=\"two\",two=\"one\"";
        mf_check_int(series->labels_size, sizeof wanted - 1);
        mf_check_int(memcmp(series->labels, wanted, sizeof wanted - 1), 0);
    }
    free(series->labels);
    family.label_count = 0;
    mf_check(mfi_series_label(&family, series));
    mf_check(series->labels == NULL);
    mf_check_int(series->labels_size, 0);
    free(series);
}

static const mf_test tests[] = {
    {"labels__escape_what_the_formats_ask_for", test_escapes},
    {"labels__fail_without_memory", test_without_memory},
    {"labels__of_a_series_are_joined", test_series},
};
MF_TEST_MAIN(tests)
