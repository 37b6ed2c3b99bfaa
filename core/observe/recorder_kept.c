/* Keeps failures and the slowest calls apart from the table. It exists because a thousand good
 * calls a second would overwrite the one call that somebody will look for. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/recorder_inside.h"

/* Makes the version odd; false if another thread writes the place. */
static bool begin_write(mfi_kept *place, uint64_t *ret_version)
{
    *ret_version = atomic_load_explicit(&place->version, memory_order_relaxed);
    return *ret_version % 2 == 0 &&
           atomic_compare_exchange_strong_explicit(&place->version, ret_version, *ret_version + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void copy_words(mfi_kept *to, const mfi_words *words)
{
    size_t used = mfi_words_used(words);
    for (size_t i = 0; i < used; i++) {
        mfi_word_store(&to->words.of[i], mfi_word_load(&words->of[i]));
    }
}

/* ---- Failures: a ring of all threads ---- */

static void copy_error(mfi_failure *to, const mf_error *error)
{
    char text[MFI_RECORD_ERROR_MAX] = "";
    if (error != NULL) {
        size_t length = strnlen(error->message, sizeof error->message);
        memcpy(text, error->message, mfi_utf8_prefix(error->message, length, sizeof text));
    }
    for (size_t i = 0; i < sizeof text / 8; i++) {
        uint64_t word = 0;
        memcpy(&word, text + 8 * i, sizeof word);
        mfi_word_store(&to->error[i], word);
    }
}

uint64_t mfi_recorder_keep_failure(mfi_recorder *recorder, const mfi_words *words,
                                   const mf_error *error)
{
    uint64_t version = 0;
    uint64_t number = atomic_fetch_add_explicit(&recorder->failures_made, 1, memory_order_relaxed);
    mfi_failure *place = &recorder->failures[number % recorder->failure_count];
    if (!begin_write(&place->call, &version)) {
        return 0; /* the ring went round meanwhile */
    }
    copy_words(&place->call, words);
    copy_error(place, error);
    mfi_word_store(&place->call.version, version + 2);
    return number + 1;
}

/* ---- The slowest ---- */

static uint64_t took(const mfi_kept *place)
{
    return mfi_word_load(&place->words.of[MFI_WORD_END]) -
           mfi_word_load(&place->words.of[MFI_WORD_START]);
}

static uint64_t expires(const mfi_recorder *recorder, const mfi_kept *place)
{
    return mfi_word_load(&place->words.of[MFI_WORD_END]) + recorder->keep_ns;
}

/* What a call must take to be kept: 0 while a place is empty or has expired. The group is taken. */
static void set_floor(const mfi_recorder *recorder, struct mfi_recorder_group *group)
{
    uint64_t floor = UINT64_MAX;
    uint64_t until = UINT64_MAX;
    for (size_t i = 0; i < MFI_GROUP_PLACES; i++) {
        const mfi_kept *place = &group->places[i];
        bool empty = atomic_load_explicit(&place->version, memory_order_relaxed) == 0;
        uint64_t least = empty ? 0 : took(place);
        uint64_t ends = empty ? UINT64_MAX : expires(recorder, place);
        floor = least < floor ? least : floor;
        until = ends < until ? ends : until;
    }
    atomic_store_explicit(&group->floor, floor, memory_order_relaxed);
    atomic_store_explicit(&group->until, until, memory_order_relaxed);
}

/* An empty place, or one that has expired, or the one of the fastest call; NULL if the new call was
 * faster still. */
static mfi_kept *find_place(const mfi_recorder *recorder, struct mfi_recorder_group *group,
                            const mfi_words *words)
{
    mfi_kept *found = NULL;
    uint64_t end_ns = mfi_word_load(&words->of[MFI_WORD_END]);
    uint64_t took_ns = end_ns - mfi_word_load(&words->of[MFI_WORD_START]);
    for (size_t i = 0; i < MFI_GROUP_PLACES; i++) {
        mfi_kept *place = &group->places[i];
        if (atomic_load_explicit(&place->version, memory_order_relaxed) == 0 ||
            expires(recorder, place) < end_ns) {
            return place;
        }
        found = found == NULL || took(place) < took(found) ? place : found;
    }
    return took(found) < took_ns ? found : NULL;
}

void mfi_recorder_keep_slow(mfi_recorder *recorder, struct mfi_recorder_group *group,
                            const mfi_words *words)
{
    uint64_t version = 0;
    if (atomic_exchange_explicit(&group->taken, true, memory_order_acquire)) {
        return; /* another thread keeps its call; this one is not waited for */
    }
    mfi_kept *place = find_place(recorder, group, words);
    if (place != NULL && begin_write(place, &version)) {
        copy_words(place, words);
        mfi_word_store(&place->version, version + 2);
    }
    set_floor(recorder, group);
    atomic_store_explicit(&group->taken, false, memory_order_release);
}
