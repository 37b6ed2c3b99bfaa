/* Reads any bytes as the segment of a worker: nothing crashes, hangs or reads behind the end, and
 * what is reported keeps its bounds. The input is a list of patches {offset: 3 bytes, count: 1
 * byte, count bytes} on a segment that a worker has filled; the first byte of the input says where
 * offsets count from, and whether a thread scribbles while the reader reads. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "metrics/metric_set.h"
#include "metrics/segment_layout.h"

#define SIZE MFI_SEGMENT_BYTES_LEAST
#define REPORTED_MOST (UINT64_C(1) << 62)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* ---- A segment as a worker leaves it ---- */

static int fd = -1;
static unsigned char *memory, filled[SIZE];

static mf_family *keep(mf_metrics *metrics, mfi_segment *segment, mf_metric_type type,
                       const char *name, mfi_segment_family family)
{
    static const char *const labels[] = {"function", "status"};
    static const char *const words[] = {"ok", "error"};
    mf_family *made = NULL;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "a test";
    options.label_names = labels;
    options.label_count = 2;
    must(mf_metrics_add(metrics, &options, &made, NULL) == MF_OK);
    must(mfi_segment_keep(segment, made, &(mfi_segment_place){family, 0, 1, words, 2}));
    return made;
}

static void fill_segment(void)
{
    mf_metrics *metrics = NULL;
    mfi_segment *segment = NULL;
    fd = mfi_segment_make(SIZE);
    must(mfi_segment_attach(fd, &segment) == MFI_SEGMENT_ATTACHED);
    must(mf_metrics_create(&metrics, NULL, NULL) == MF_OK);
    mf_family *calls = keep(metrics, segment, MF_METRIC_COUNTER, "calls_total", MFI_SEGMENT_CALLS);
    mf_family *duration =
        keep(metrics, segment, MF_METRIC_HISTOGRAM, "call_seconds", MFI_SEGMENT_DURATION);
    const char *const values[][2] = {{"foo", "ok"}, {"bar", "error"}};
    for (unsigned i = 0; i < 100; i++) {
        const char *const *labels = values[i % 2];
        mf_counter_add(mf_family_counter(calls, labels), i);
        mf_histogram_record_ns(mf_family_histogram(duration, labels), UINT64_C(1) << i % 60);
        mfi_segment_begin(segment, i, &(mfi_segment_call){.function = "foo", .started_ns = 1});
        mfi_segment_log(segment, "level=info msg=\"foo\"", 20);
    }
    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(memory != MAP_FAILED);
    memcpy(filled, memory, SIZE);
    mf_metrics_destroy(metrics);
    mfi_segment_detach(segment);
}

/* ---- The input ---- */

/* Bytes are stored one by one, as a stray write of another process may be. */
static void patch(const uint8_t *data, size_t size)
{
    static const size_t bases[] = {0, sizeof(mfi_segment_head), offsetof(mfi_segment_head, log),
                                   offsetof(mfi_segment_head, running)};
    size_t base = size > 0 ? bases[data[0] / 2 % 4] : 0;
    for (size_t at = 1; at + 4 < size;) {
        size_t offset = base + (data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16);
        size_t count = data[at + 3] < size - at - 4 ? data[at + 3] : size - at - 4;
        for (size_t i = 0; i < count; i++) {
            __atomic_store_n(&memory[(offset + i) % SIZE], data[at + 4 + i], __ATOMIC_RELAXED);
        }
        at += 4 + count;
    }
}

typedef struct scribbler {
    const uint8_t *data;
    size_t size;
    _Atomic(bool) ends;
} scribbler;

static void *scribble(void *argument)
{
    scribbler *self = argument;
    for (unsigned round = 0; round < 1000 && !self->ends; round++) {
        patch(self->data, self->size);
        for (size_t i = round % 64; i < self->size; i += 64) {
            size_t at = self->data[i] * (size_t)2654435761u + round * (size_t)40503;
            __atomic_store_n(&memory[at % SIZE], (uint8_t)round, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

/* ---- What is reported ---- */

static void check_text(const char *text, size_t most)
{
    must(strnlen(text, most + 1) <= most);
    must(mfi_utf8_valid(text, strlen(text)));
}

static void check_delta(const mfi_segment_delta *delta, void *user_data)
{
    unsigned *visits = user_data;
    must(++*visits <= SIZE / 64);
    must(delta->family > 0 && delta->family < MFI_SEGMENT_FAMILY_END);
    must(delta->word <= MFI_SEGMENT_NO_WORD);
    must(delta->count <= REPORTED_MOST && delta->sum <= REPORTED_MOST);
    check_text(delta->function, MFI_SEGMENT_FUNCTION_MAX);
    must(delta->is_histogram == (delta->cells != NULL));
    if (delta->is_histogram) {
        uint64_t count = delta->cells->under + delta->cells->over;
        for (size_t i = 0; i < MFI_CELLS_MAX; i++) {
            count += delta->cells->cells[i];
        }
        must(count == delta->cells->count && count <= REPORTED_MOST);
    }
}

static void check_line(const char *line, size_t size, void *user_data)
{
    size_t *bytes = user_data;
    *bytes += size + 1;
    must(*bytes <= 4 * MFI_SEGMENT_LOG_BYTES);
    check_text(line, size);
    for (size_t i = 0; i < size; i++) {
        must(line[i] == '\t' || line[i] == '\n' || (unsigned char)line[i] >= ' ');
    }
}

static void read_all(mfi_segment_reader *reader)
{
    static mfi_segment_running running[MFI_SEGMENT_RUNNING];
    unsigned visits = 0;
    size_t bytes = 0;
    mfi_segment_facts facts;
    mfi_segment_collect(reader, check_delta, &visits);
    mfi_segment_read(reader, &facts);
    size_t count = mfi_segment_read_running(reader, running, MFI_SEGMENT_RUNNING);
    must(count <= MFI_SEGMENT_RUNNING);
    for (size_t i = 0; i < count; i++) {
        check_text(running[i].function, MFI_SEGMENT_FUNCTION_MAX);
        check_text(running[i].correlation_id, MFI_SEGMENT_CORRELATION_MAX);
        check_text(running[i].trace_id, MFI_SEGMENT_TRACE_MAX);
        check_text(running[i].span_id, MFI_SEGMENT_SPAN_MAX);
        check_text(running[i].request_id, MFI_SEGMENT_REQUEST_MAX);
        check_text(running[i].namespace_name, MFI_SEGMENT_NAMESPACE_MAX);
        must(running[i].number < MFI_SEGMENT_RUNNING && running[i].started_ns != 0);
    }
    mfi_segment_read_log(reader, check_line, &bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fd < 0) {
        fill_segment();
    }
    scribbler self = {.data = data, .size = size};
    pthread_t thread;
    bool scribbles = size > 0 && data[0] % 2 == 1;
    memcpy(memory, filled, SIZE);
    mfi_segment_reader *reader = mfi_segment_open(fd);
    must(reader != NULL);
    if (size % 2 == 0) {
        read_all(reader); /* what is known before the bytes change */
    }
    scribbles = scribbles && pthread_create(&thread, NULL, scribble, &self) == 0;
    if (!scribbles) {
        patch(data, size);
    }
    read_all(reader);
    read_all(reader);
    if (scribbles) {
        self.ends = true;
        (void)pthread_join(thread, NULL);
    }
    read_all(reader);
    mfi_segment_close(reader);
    return 0;
}
