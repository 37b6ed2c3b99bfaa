/* The figures of the process, as the command `status` shows them. */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "admin/process.h"
#include "mf_test.h"

static double number_behind(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    mf_check(at != NULL);
    return at != NULL ? strtod(at + strlen(key), NULL) : -1;
}

static void test_figures(void)
{
    mfi_buf out;
    mfi_buf before;
    int pair[2];
    mfi_buf_init(&out, 0);
    mfi_buf_init(&before, 0);
    mfi_admin_append_process(&before);
    mfi_buf_append_byte(&before, 0);
    mf_check_int(pipe(pair), 0);
    mf_check_int(prctl(PR_SET_NAME, "a \"b\""), 0);
    mfi_admin_append_process(&out);
    mfi_buf_append_byte(&out, 0);
    const char *text = (const char *)out.data;
    mf_check_int(number_behind(text, ",\"pid\":"), getpid());
    mf_check_contains(text, ",\"heap\":");
    mf_check_contains(text, "\"name\":\"a \\\"b\\\"\",\"cpu_seconds\":");
    mf_check(number_behind(text, "\"thread_count\":") >= 1);
    mf_check_int(number_behind(text, "\"open\":"),
                 number_behind((const char *)before.data, "\"open\":") + 2);
    mf_check_int(number_behind(text, "\"pipes\":"),
                 number_behind((const char *)before.data, "\"pipes\":") + 2);
    (void)close(pair[0]);
    (void)close(pair[1]);
    mfi_buf_fini(&out);
    mfi_buf_fini(&before);
}

static const mf_test tests[] = {
    {"process__figures_are_those_of_the_process", test_figures},
};
MF_TEST_MAIN(tests)
