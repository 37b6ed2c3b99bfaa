/* The recorder's memory, and the names of functions, which are prepared once for all calls. It
 * exists so that recorder_write.c holds only what a call runs. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/observe/recorder_inside.h"

#define GROUPS_MOST 64 /* of the slowest calls */

/* ---- Memory ---- */

mf_status mfi_recorder_create(mfi_recorder **ret_recorder, size_t bytes, uint64_t keep_ns,
                              mf_error *error)
{
    mfi_recorder *made = aligned_alloc(64, sizeof *made);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a recorder");
    }
    memset(made, 0, sizeof *made);
    size_t groups = bytes / 8 / sizeof *made->groups;
    made->keep_ns = keep_ns;
    made->group_count = groups < GROUPS_MOST ? groups : GROUPS_MOST;
    made->failure_count = bytes / 4 / sizeof *made->failures;
    size_t rest = bytes - made->group_count * sizeof *made->groups -
                  made->failure_count * sizeof *made->failures;
    made->chunk_count = rest / sizeof *made->chunks;
    made->groups = calloc(made->group_count, sizeof *made->groups);
    made->failures = calloc(made->failure_count, sizeof *made->failures);
    made->chunks = calloc(made->chunk_count, sizeof *made->chunks);
    if (made->groups == NULL || made->failures == NULL || made->chunks == NULL) {
        mfi_recorder_destroy(made);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a recorder of %zu bytes", bytes);
    }
    *ret_recorder = made;
    return MF_OK;
}

void mfi_recorder_destroy(mfi_recorder *recorder)
{
    if (recorder != NULL) {
        free(recorder->chunks);
        free(recorder->failures);
        free(recorder->groups);
        free(recorder);
    }
}

/* ---- Names ---- */

/* FNV-1a; 0 is no key. */
static uint64_t hash_words(const mfi_recorded_names *names)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ names->lengths;
    for (uint32_t i = 0; i < names->count; i++) {
        hash = (hash ^ names->words[i]) * UINT64_C(1099511628211);
        hash ^= hash >> 32;
    }
    return hash != 0 ? hash : 1;
}

static struct mfi_recorder_group *find_group(mfi_recorder *recorder, uint64_t key)
{
    for (size_t i = 0; i + 1 < recorder->group_count; i++) {
        uint64_t seen = atomic_load_explicit(&recorder->groups[i].key, memory_order_relaxed);
        if (seen == key) {
            return &recorder->groups[i];
        }
        if (seen == 0 &&
            (atomic_compare_exchange_strong_explicit(&recorder->groups[i].key, &seen, key,
                                                     memory_order_relaxed, memory_order_relaxed) ||
             seen == key)) {
            return &recorder->groups[i];
        }
    }
    return &recorder->groups[recorder->group_count - 1];
}

static uint32_t add_name(mfi_recorded_names *to, const char *name, size_t most)
{
    size_t length = name != NULL ? mfi_utf8_prefix(name, strlen(name), most) : 0;
    memcpy((char *)to->words + to->count * sizeof to->words[0], name != NULL ? name : "", length);
    to->count += (uint32_t)((length + 7) / 8);
    return (uint32_t)length;
}

static void set_names(mfi_recorded_names *to, const char *target, const char *worker,
                      const char *function)
{
    memset(to, 0, sizeof *to);
    to->lengths = add_name(to, target, MFI_RECORD_TARGET_MAX) << MFI_LENGTH_TARGET;
    to->lengths |= add_name(to, worker, MFI_RECORD_NAME_MAX) << MFI_LENGTH_WORKER;
    to->lengths |= add_name(to, function, MFI_RECORD_NAME_MAX) << MFI_LENGTH_FUNCTION;
}

void mfi_recorder_name(mfi_recorder *recorder, mfi_recorded_names *ret_names, const char *target,
                       const char *worker, const char *function)
{
    mfi_recorded_names of_all; /* the workers of a target share the slowest calls */
    set_names(ret_names, target, worker, function);
    if (recorder == NULL) {
        return;
    }
    set_names(&of_all, target, target != NULL ? NULL : worker, function);
    ret_names->group = find_group(recorder, hash_words(&of_all));
}
