/* What a worker notes beside numbers: running calls, gauges, and the last lines of its log. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "segment_support.h"

/* ---- Gauges and running calls ---- */

static void test_gauges(void)
{
    pair at;
    pair_begin(&at, 0);
    mfi_segment_queue(at.segment, 3, 7);
    mfi_segment_queue(at.segment, -2, -5);
    mfi_segment_set(at.segment, MFI_SEGMENT_THREADS, 3);
    mfi_segment_set(NULL, MFI_SEGMENT_THREADS, 4);
    mfi_segment_facts facts = facts_of(&at);
    mf_check_int(facts.waiting, 1);
    mf_check_int(facts.waiting_bytes, 2);
    mf_check_int(facts.gauges[MFI_SEGMENT_THREADS], 3);
    pair_end(&at);
}

static void test_running_calls(void)
{
    pair at;
    char name[200];
    mfi_segment_running running[MFI_SEGMENT_RUNNING];
    pair_begin(&at, 0);
    memset(name, 'a', sizeof name);
    memcpy(name + MFI_SEGMENT_FUNCTION_MAX - 1, "\xc3\xa4", 3); /* the limit cuts a character */
    mfi_segment_call call = {.function = name,
                             .correlation_id = "c-1",
                             .trace_id = "0af7651916cd43dd8448eb211c80319c",
                             .span_id = "b7ad6b7169203331",
                             .request_id = "r-1",
                             .namespace_name = "\xff",
                             .started_ns = 5};
    mfi_segment_begin(at.segment, 7, &call);
    call.function = NULL;
    mfi_segment_begin(at.segment, MFI_SEGMENT_RUNNING - 1, &call);
    mfi_segment_begin(at.segment, MFI_SEGMENT_RUNNING, &call); /* beyond the entries */
    mfi_segment_begin(NULL, 0, &call);
    mf_check_int(mfi_segment_read_running(at.reader, running, MFI_SEGMENT_RUNNING), 2);
    mf_check_int(running[0].number, 7);
    mf_check_int(strlen(running[0].function), MFI_SEGMENT_FUNCTION_MAX - 1);
    mf_check_str(running[0].correlation_id, "c-1");
    mf_check_str(running[0].trace_id, "0af7651916cd43dd8448eb211c80319c");
    mf_check_str(running[0].span_id, "b7ad6b7169203331");
    mf_check_str(running[0].request_id, "r-1");
    mf_check_str(running[0].namespace_name, "\xef\xbf\xbd");
    mf_check_int(running[0].started_ns, 5);
    mf_check_int(running[1].number, MFI_SEGMENT_RUNNING - 1);
    mf_check_str(running[1].function, "");
    mf_check_int(mfi_segment_read_running(at.reader, running, 1), 1); /* no more than asked for */
    mfi_segment_end(at.segment, 7);
    mfi_segment_end(at.segment, MFI_SEGMENT_RUNNING);
    mfi_segment_end(NULL, 0);
    mf_check_int(mfi_segment_read_running(at.reader, running, MFI_SEGMENT_RUNNING), 1);
    pair_end(&at);
}

/* A worker that was killed while it wrote an entry leaves it odd for ever. */
static void test_frozen_entry(void)
{
    pair at;
    mfi_segment_running running[2];
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mfi_segment_begin(at.segment, 0, &(mfi_segment_call){.function = "f", .started_ns = 1});
    mfi_segment_begin(at.segment, 1, &(mfi_segment_call){.function = "g", .started_ns = 1});
    mfi_segment_head *head = scribble_on(&at);
    head->running[0].version += 1;
    mf_check_int(mfi_segment_read_running(at.reader, running, 2), 1);
    mf_check_int(running[0].number, 1);
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    pair_end(&at);
}

typedef struct writer {
    mfi_segment *segment;
    _Atomic(bool) ends;
} writer;

/* Every text of a call has the same letter. */
static void *run_calls(void *argument)
{
    writer *at = argument;
    for (unsigned i = 0; !at->ends; i++) {
        char text[65] = {0};
        memset(text, 'a' + (int)(i % 26), 1 + i % 64);
        mfi_segment_begin(at->segment, 0,
                          &(mfi_segment_call){.function = text,
                                              .correlation_id = text,
                                              .request_id = text,
                                              .namespace_name = text,
                                              .started_ns = 1 + i % 26});
        mfi_segment_log(at->segment, text, strlen(text));
    }
    return NULL;
}

static void count_torn(const char *line, size_t size, void *user_data)
{
    unsigned *torn = user_data;
    *torn += size == 0 || size > 64 || strspn(line, (const char[]){line[0], '\0'}) != size;
}

/* Neither an entry nor a line is ever half of one and half of another. */
static void test_nothing_is_torn(void)
{
    pair at;
    pthread_t thread;
    unsigned torn = 0;
    pair_begin(&at, 0);
    writer from = {.segment = at.segment};
    pthread_create(&thread, NULL, run_calls, &from);
    for (int seen = 0, i = 0; i < 2000 || seen < 10; i++) {
        mfi_segment_running running;
        if (mfi_segment_read_running(at.reader, &running, 1) == 1) {
            char letter[2] = {(char)('a' + (char)running.started_ns - 1), '\0'};
            seen++;
            torn += strspn(running.function, letter) != strlen(running.function) ||
                    strcmp(running.function, running.correlation_id) != 0 ||
                    strcmp(running.function, running.request_id) != 0 ||
                    strcmp(running.function, running.namespace_name) != 0;
        }
        if (i % 100 == 0) {
            mfi_segment_read_log(at.reader, count_torn, &torn);
        }
    }
    from.ends = true;
    pthread_join(thread, NULL);
    mf_check_int(torn, 0);
    pair_end(&at);
}

/* ---- Log ---- */

typedef struct kept_lines {
    unsigned count;
    char first[64], last[64];
    size_t bytes;
} kept_lines;

static void keep_line(const char *line, size_t size, void *user_data)
{
    kept_lines *lines = user_data;
    if (lines->count == 0) {
        (void)snprintf(lines->first, sizeof lines->first, "%s", line);
    }
    (void)snprintf(lines->last, sizeof lines->last, "%s", line);
    mf_check_int(strlen(line), size);
    lines->count++;
    lines->bytes += size + 1;
}

static void test_log(void)
{
    pair at;
    kept_lines lines = {.count = 0};
    static char large[MFI_SEGMENT_LOG_BYTES + 1];
    pair_begin(&at, 0);
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_int(lines.count, 0);
    mfi_segment_log(at.segment, "one\n", 4);
    mfi_segment_log(at.segment, "t\x1b[1mwo\xff", 8);
    memset(large, 'x', sizeof large);
    mfi_segment_log(at.segment, large, MFI_SEGMENT_LOG_BYTES); /* with a newline it is too long */
    mfi_segment_log(NULL, "none", 4);
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_int(lines.count, 2);
    mf_check_str(lines.first, "one");
    mf_check_str(lines.last, "t\\x1b[1mwo\xef\xbf\xbd");
    for (int i = 0; i < 10000; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "line %d", i);
        mfi_segment_log(at.segment, text, (size_t)size);
    }
    lines = (kept_lines){.count = 0};
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_str(lines.last, "line 9999");
    mf_check_int(lines.bytes, MFI_SEGMENT_LOG_BYTES / 10 * 10); /* whole lines, as many as fit */
    mf_check(strncmp(lines.first, "line ", 5) == 0);
    mf_check_int(atoi(lines.first + 5), 10000 - (int)lines.count);
    pair_end(&at);
}

static const mf_test tests[] = {
    {"segment_notes__gauges", test_gauges},
    {"segment_notes__running_calls", test_running_calls},
    {"segment_notes__a_frozen_entry_is_skipped", test_frozen_entry},
    {"segment_notes__nothing_is_torn", test_nothing_is_torn},
    {"segment_notes__log_keeps_the_last_lines", test_log},
};
MF_TEST_MAIN(tests)
