/* The last lines of a stream are kept within bounds, and explain an end in one line. */
#include "core/client/tail.h"

#include <stdio.h>
#include <string.h>

#include "mf_test.h"

static void add(mfi_tail *tail, const char *text)
{
    mfi_tail_add(tail, text, strlen(text));
}

static void check_last(const mfi_tail *tail, size_t most, const char *wanted)
{
    char copy[MFI_TAIL_BYTES + 1];
    const char *text = NULL;
    size_t size = mfi_tail_last(tail, most, &text);
    (void)snprintf(copy, sizeof copy, "%.*s", (int)size, text);
    mf_check_str(copy, wanted);
}

static void test_the_last_lines_are_kept(void)
{
    mfi_tail tail;
    char line[16];
    mfi_tail_clear(&tail);
    check_last(&tail, SIZE_MAX, "");
    for (int i = 0; i < 11; i++) {
        (void)snprintf(line, sizeof line, "l%d", i);
        add(&tail, line);
    }
    mf_check_int(tail.lines, MFI_TAIL_LINES);
    check_last(&tail, SIZE_MAX, "l3\nl4\nl5\nl6\nl7\nl8\nl9\nl10");
    check_last(&tail, 6, "l9\nl10");
    check_last(&tail, 5, "l10");
    check_last(&tail, 2, "");
    mfi_tail_clear(&tail);
    check_last(&tail, SIZE_MAX, "");
}

static void test_long_lines_make_room(void)
{
    mfi_tail tail;
    char line[3000];
    mfi_tail_clear(&tail);
    for (int c = 'a'; c <= 'z'; c++) {
        memset(line, c, sizeof line);
        mfi_tail_add(&tail, line, sizeof line);
        mf_check(tail.size <= MFI_TAIL_BYTES && tail.text[tail.size] == '\0');
    }
    mf_check_int(tail.lines, 4); /* a quarter each */
    mf_check_int(tail.text[0], 'w');
}

static void test_control_characters_become_escapes(void)
{
    mfi_tail tail;
    mfi_tail_clear(&tail);
    add(&tail, "\x1b[31mred\a\rx\xff");
    check_last(&tail, SIZE_MAX, "\\x1b[31mred\\x07\\x0dx\xef\xbf\xbd");
}

static void test_an_end_is_explained_in_one_line(void)
{
    mfi_tail tail;
    char text[80] = "it exited";
    mfi_tail_clear(&tail);
    mfi_tail_explain(&tail, "stderr", text, sizeof text);
    mf_check_str(text, "it exited");
    add(&tail, "Traceback:");
    add(&tail, "  \tline 1");
    add(&tail, "Error: no");
    mfi_tail_explain(&tail, "stderr", text, sizeof text);
    mf_check_str(text, "it exited; stderr: Traceback: | line 1 | Error: no");
    (void)strcpy(text, "it exited");
    mfi_tail_explain(&tail, "stderr", text, 54); /* room for the last line alone */
    mf_check_str(text, "it exited; stderr: Error: no");
    (void)strcpy(text, "it exited");
    mfi_tail_explain(&tail, "stderr", text, 20);
    mf_check_str(text, "it exited");
}

static const mf_test tests[] = {
    {"tail__the_last_lines_are_kept", test_the_last_lines_are_kept},
    {"tail__long_lines_make_room", test_long_lines_make_room},
    {"tail__control_characters_become_escapes", test_control_characters_become_escapes},
    {"tail__an_end_is_explained_in_one_line", test_an_end_is_explained_in_one_line},
};
MF_TEST_MAIN(tests)
