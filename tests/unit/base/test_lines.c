/* A worker's output is cut into lines of bounded length, however its pieces arrive. */
#include "base/lines.h"

#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

enum { LIMIT = 8192 };

/* What was shown: all lines, each followed by '|'. */
typedef struct shown {
    char text[4 * LIMIT];
    size_t size;
    unsigned count;
    size_t longest;
} shown;

static void on_line(void *self, const char *text, size_t length)
{
    shown *all = self;
    if (!mf_check(all->size + length + 2 <= sizeof all->text)) {
        return;
    }
    memcpy(all->text + all->size, text, length);
    all->size += length;
    all->text[all->size++] = '|';
    all->text[all->size] = '\0';
    all->count++;
    all->longest = length > all->longest ? length : all->longest;
}

static void feed_text(mfi_lines *lines, const char *text)
{
    mfi_lines_feed(lines, text, strlen(text));
}

static void test_lines_and_parts(void)
{
    shown all = {.size = 0};
    mfi_lines lines;
    mfi_lines_init(&lines, LIMIT, on_line, &all);
    feed_text(&lines, "one\ntwo\r\n\nthr");
    mf_check_str(all.text, "one|two||");
    feed_text(&lines, "ee");
    feed_text(&lines, "\nfour\nfi");
    mf_check_str(all.text, "one|two||three|four|");
    mfi_lines_end(&lines);
    mfi_lines_end(&lines);
    mf_check_str(all.text, "one|two||three|four|fi|");
}

static void test_nothing_kept_after_a_line(void)
{
    shown all = {.size = 0};
    mfi_lines lines;
    mfi_lines_init(&lines, LIMIT, on_line, &all);
    feed_text(&lines, "whole\n");
    mf_check(lines.text == NULL);
    feed_text(&lines, "par");
    mf_check(lines.text != NULL);
    feed_text(&lines, "t\n");
    mf_check(lines.text == NULL);
    mf_check_str(all.text, "whole|part|");
}

/* A three-byte character stands across the place where it would be cut. */
static void test_long_line_is_cut_between_characters(void)
{
    size_t length = 3 * 5000;
    shown all = {.size = 0};
    mfi_lines lines;
    char *text = malloc(length + 1);
    for (size_t i = 0; text != NULL && i < length; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    mfi_lines_init(&lines, LIMIT, on_line, &all);
    if (mf_check(text != NULL)) {
        text[length] = '\n';
        mfi_lines_feed(&lines, text, length + 1);
        mf_check_int(all.count, 2);
        mf_check_int(all.size, length + all.count);
        mf_check(all.longest <= LIMIT);
        mf_check_int(strcspn(all.text, "|") % 3, 0);
    }
    mfi_lines_end(&lines);
    free(text);
}

static void test_line_of_the_most_bytes_is_whole(void)
{
    static char text[LIMIT + 1];
    shown all = {.size = 0};
    mfi_lines lines;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\n';
    mfi_lines_init(&lines, LIMIT, on_line, &all);
    mfi_lines_feed(&lines, text, sizeof text);
    mf_check_int(all.count, 1);
    mf_check_int(all.longest, LIMIT);
    mfi_lines_feed(&lines, text, 10); /* in two parts: it fills the buffer to the last byte */
    mfi_lines_feed(&lines, text + 10, sizeof text - 10);
    mf_check_int(all.size, 2 * sizeof text);
    mfi_lines_end(&lines);
}

/* The smallest limit that is allowed. */
static void test_limit_is_the_callers(void)
{
    shown all = {.size = 0};
    mfi_lines lines;
    mfi_lines_init(&lines, 8, on_line, &all);
    feed_text(&lines, "abcdefgh\nabcdefghij\n");
    mf_check_int(all.longest, 8);
    mf_check_int(strncmp(all.text, "abcdefgh|", 9), 0);
    size_t letters = 0;
    for (size_t i = 0; i < all.size; i++) {
        letters += all.text[i] != '|';
    }
    mf_check_int(letters, 18);
    mfi_lines_end(&lines);
}

static const mf_test tests[] = {
    {"lines__come_whole_however_they_arrive", test_lines_and_parts},
    {"lines__keep_nothing_after_a_whole_line", test_nothing_kept_after_a_line},
    {"lines__longer_than_the_most_are_cut_between_characters",
     test_long_line_is_cut_between_characters},
    {"lines__of_the_most_bytes_are_whole", test_line_of_the_most_bytes_is_whole},
    {"lines__limit_is_the_callers", test_limit_is_the_callers},
};
MF_TEST_MAIN(tests)
