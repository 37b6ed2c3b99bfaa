/* Keeps the tracestate and the baggage of calls, counted by their holders. It exists so that a
 * context stays plain data of fixed size, which programs copy, while texts of up to 1.5 KiB pass
 * from a call to the calls that its handler makes. */
#include "base/carried.h"

#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"

#define BUCKETS 256u

typedef struct carried {
    struct carried *next; /* in its bucket */
    uint64_t id;
    uint32_t holders;
    size_t baggage_at; /* 0: no baggage */
    char text[];       /* tracestate, NUL, baggage, NUL */
} carried;

static mfi_mutex mutex = MFI_MUTEX_INIT; /* guards all below; no other mutex is taken under it */
static carried *buckets[BUCKETS];
static carried *kept[MFI_CARRIED_KEPT]; /* by id; each is one holder */
static uint64_t last_id;

static carried *find_locked(uint64_t id)
{
    carried *at = buckets[id % BUCKETS];
    while (at != NULL && at->id != id) {
        at = at->next;
    }
    return at;
}

/* Returns the texts if they are to be freed. */
static carried *release_locked(carried *texts)
{
    if (texts == NULL || --texts->holders > 0) {
        return NULL;
    }
    carried **link = &buckets[texts->id % BUCKETS];
    while (*link != texts) {
        link = &(*link)->next;
    }
    *link = texts->next;
    return texts;
}

uint64_t mfi_carried_keep(mfi_carried_text tracestate, mfi_carried_text baggage)
{
    if (tracestate.size == 0 && baggage.size == 0) {
        return 0;
    }
    carried *texts = calloc(1, sizeof *texts + tracestate.size + baggage.size + 2);
    if (texts == NULL) {
        return 0;
    }
    if (tracestate.size > 0) {
        memcpy(texts->text, tracestate.data, tracestate.size);
    }
    if (baggage.size > 0) {
        texts->baggage_at = tracestate.size + 1;
        memcpy(texts->text + texts->baggage_at, baggage.data, baggage.size);
    }
    texts->holders = 2; /* the caller, and `kept` */
    mfi_mutex_lock(&mutex);
    uint64_t id = ++last_id;
    texts->id = id;
    texts->next = buckets[id % BUCKETS];
    buckets[id % BUCKETS] = texts;
    carried *oldest = release_locked(kept[id % MFI_CARRIED_KEPT]);
    kept[id % MFI_CARRIED_KEPT] = texts;
    mfi_mutex_unlock(&mutex);
    free(oldest);
    return id;
}

uint64_t mfi_carried_hold(uint64_t id)
{
    if (id == 0) {
        return 0;
    }
    mfi_mutex_lock(&mutex);
    carried *texts = find_locked(id);
    if (texts != NULL) {
        texts->holders++;
    }
    mfi_mutex_unlock(&mutex);
    return texts != NULL ? id : 0;
}

void mfi_carried_release(uint64_t id)
{
    if (id == 0) {
        return;
    }
    mfi_mutex_lock(&mutex);
    carried *last = release_locked(find_locked(id));
    mfi_mutex_unlock(&mutex);
    free(last);
}

static const carried *find(uint64_t id)
{
    if (id == 0) {
        return NULL;
    }
    mfi_mutex_lock(&mutex);
    const carried *texts = find_locked(id);
    mfi_mutex_unlock(&mutex);
    return texts;
}

const char *mfi_carried_tracestate(uint64_t id)
{
    const carried *texts = find(id);
    return texts != NULL && texts->text[0] != '\0' ? texts->text : NULL;
}

const char *mfi_carried_baggage(uint64_t id)
{
    const carried *texts = find(id);
    return texts != NULL && texts->baggage_at != 0 ? texts->text + texts->baggage_at : NULL;
}
