/* The black box: keeps what is known of each end of a worker that nobody asked for. It exists
 * because the worker that could explain its end is gone, and its parent may go too: what is asked
 * for later must have been copied at once. */
#include "core/observe/crashes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/events.h"

#define TEXT_MAX 1024         /* bytes of the cause in words */
#define SHORT_MAX 160         /* bytes of a target, a worker, a function or an id */
#define TEXTS_MAX (16 * 1024) /* bytes of all texts of a crash */
_Static_assert(4 * SHORT_MAX + TEXT_MAX + 3 * MFI_CRASH_LINES_MAX +
                       4 * MFI_OPEN_CALLS_MAX * SHORT_MAX <=
                   TEXTS_MAX,
               "the texts of a crash must fit, each at its bound");

struct mfi_crash {
    uint32_t references; /* guarded by the mutex of the box: the list, and those that show it */
    size_t bytes;
    mf_crash_row row; /* points into this block */
    mf_crash_call calls[MFI_OPEN_CALLS_MAX], running[MFI_OPEN_CALLS_MAX];
    char texts[];
};

/* ---- One crash ---- */

/* The place of the next text. */
typedef struct texts {
    char *at;
    size_t used;
} texts;

/* NULL stays NULL. */
static const char *put(texts *to, const char *text, size_t most)
{
    if (text == NULL) {
        return NULL;
    }
    char *start = to->at + to->used;
    to->used += mfi_str_copy_visible(start, most, text, strlen(text)) + 1;
    return start;
}

static size_t put_calls(texts *to, mf_crash_call *calls, const mf_crash_call *from, size_t count)
{
    count = count < MFI_OPEN_CALLS_MAX ? count : MFI_OPEN_CALLS_MAX;
    for (size_t i = 0; i < count; i++) {
        calls[i] = from[i];
        calls[i].function = put(to, from[i].function, SHORT_MAX);
        calls[i].correlation_id = put(to, from[i].correlation_id, SHORT_MAX);
    }
    return count;
}

/* Words of closed sets are static and need no copy. */
static void fill(mfi_crash *crash, texts *to, const mf_crash_row *from)
{
    mf_crash_row *row = &crash->row;
    *row = *from;
    row->target = put(to, from->target, SHORT_MAX);
    row->worker = put(to, from->worker, SHORT_MAX);
    row->text = put(to, from->text, TEXT_MAX);
    row->signal_name = put(to, from->signal_name, SHORT_MAX);
    row->core_pattern = put(to, from->core_pattern, SHORT_MAX);
    row->err = put(to, from->err, MFI_CRASH_LINES_MAX);
    row->out = put(to, from->out, MFI_CRASH_LINES_MAX);
    row->log = put(to, from->log, MFI_CRASH_LINES_MAX);
    row->call_count = put_calls(to, crash->calls, from->calls, from->call_count);
    row->running_count = put_calls(to, crash->running, from->running, from->running_count);
    row->calls = crash->calls;
    row->running = crash->running;
}

/* The texts are written twice: the first time to learn their size. NULL without memory. */
static mfi_crash *make(const mf_crash_row *row)
{
    char scratch[TEXTS_MAX];
    mfi_crash measure;
    texts size = {.at = scratch};
    fill(&measure, &size, row);
    mfi_crash *made = malloc(sizeof *made + size.used);
    if (made != NULL) {
        made->references = 1;
        made->bytes = sizeof *made + size.used;
        texts real = {.at = made->texts};
        fill(made, &real, row);
    }
    return made;
}

static void release_locked(mfi_crash *crash)
{
    if (--crash->references == 0) {
        free(crash);
    }
}

/* ---- The box ---- */

void mfi_crashes_init(mfi_crashes *crashes)
{
    *crashes = (mfi_crashes){.most = MFI_CRASHES_KEPT};
    mfi_mutex_init(&crashes->mutex);
}

void mfi_crashes_fini(mfi_crashes *crashes)
{
    for (size_t i = 0; i < crashes->count; i++) {
        free(crashes->list[i]);
    }
    free(crashes->list);
    mfi_mutex_fini(&crashes->mutex);
}

void mfi_crashes_keep(mfi_crashes *crashes, size_t most)
{
    mfi_mutex_lock(&crashes->mutex);
    crashes->most = most;
    mfi_mutex_unlock(&crashes->mutex);
}

static void drop_locked(mfi_crashes *crashes, size_t place)
{
    mfi_crash *gone = crashes->list[place];
    crashes->bytes -= gone->bytes;
    crashes->count--;
    memmove(&crashes->list[place], &crashes->list[place + 1],
            (crashes->count - place) * sizeof(void *));
    release_locked(gone);
}

static bool has_same_worker(const mf_crash_row *a, const mf_crash_row *b)
{
    return strcmp(a->target, b->target) == 0 && strcmp(a->worker, b->worker) == 0;
}

/* Drops the oldest crashes until one more, of this worker, keeps both bounds. */
static void make_room_locked(mfi_crashes *crashes, const mfi_crash *next)
{
    size_t oldest = 0;
    size_t same = 0;
    for (size_t i = crashes->count; i-- > 0;) {
        if (has_same_worker(&crashes->list[i]->row, &next->row)) {
            oldest = i;
            same++;
        }
    }
    if (same >= crashes->most) {
        drop_locked(crashes, oldest);
    }
    while (crashes->count > 0 && crashes->bytes + next->bytes > MFI_CRASHES_BYTES) {
        drop_locked(crashes, 0);
    }
}

static bool grow_locked(mfi_crashes *crashes)
{
    if (crashes->count < crashes->room) {
        return true;
    }
    size_t room = crashes->room > 0 ? 2 * crashes->room : MFI_CRASHES_KEPT;
    mfi_crash **list = realloc(crashes->list, room * sizeof(void *));
    if (list == NULL) {
        return false;
    }
    crashes->list = list;
    crashes->room = room;
    return true;
}

void mfi_crashes_add(mfi_crashes *crashes, const mf_crash_row *row)
{
    mfi_crash *made = make(row);
    mfi_mutex_lock(&crashes->mutex);
    crashes->seen++;
    if (made != NULL) {
        made->row.number = crashes->seen;
        make_room_locked(crashes, made);
        if (grow_locked(crashes)) {
            crashes->list[crashes->count++] = made;
            crashes->bytes += made->bytes;
            made = NULL;
        }
    }
    mfi_mutex_unlock(&crashes->mutex);
    free(made);
}

/* The newest crash that is older than `before`, which the caller shows and gives back; or NULL. */
static mfi_crash *take_locked(const mfi_crashes *crashes, uint64_t before)
{
    size_t low = 0;
    size_t high = crashes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (crashes->list[middle]->row.number < before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    mfi_crash *found = low > 0 ? crashes->list[low - 1] : NULL;
    if (found != NULL) {
        found->references++;
    }
    return found;
}

uint64_t mfi_crashes_visit(mfi_crashes *crashes, mf_crash_visit_fn visit, void *user_data)
{
    mfi_mutex_lock(&crashes->mutex);
    uint64_t seen = crashes->seen;
    mfi_crash *at = take_locked(crashes, seen + 1);
    while (at != NULL) {
        mfi_mutex_unlock(&crashes->mutex);
        visit(&at->row, user_data);
        mfi_mutex_lock(&crashes->mutex);
        mfi_crash *next = take_locked(crashes, at->row.number);
        release_locked(at);
        at = next;
    }
    mfi_mutex_unlock(&crashes->mutex);
    return seen;
}

/* ---- Reports ---- */
