/* The registry's file as it was read last, with an index by service id. It exists so that many
 * parents that look for their services do not each read and parse the whole file. */
#include "core/discovery/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

/* A writer that changes the file in place within one tick of the time stamps leaves no trace. So a
 * file that was read so soon after its last change is not kept. */
#define SETTLED_NS (20 * MFI_NS_PER_MS)

void mfi_registry_cache_clear(mfi_registry_cache *cache)
{
    mfi_registry_file_unload(&cache->file);
    free(cache->places);
    *cache = (mfi_registry_cache){.filled = false};
}

/* FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo). */
static uint64_t hash_of(const char *id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *id != '\0'; id++) {
        hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static mf_status add_place(mfi_registry_cache *cache, mfi_registry_place place, mf_error *error)
{
    if ((cache->count & (cache->count - 1)) == 0) { /* full: the room is a power of two */
        size_t room = cache->count == 0 ? 1 : cache->count * 2;
        mfi_registry_place *grown = realloc(cache->places, room * sizeof *grown);
        if (grown == NULL) {
            return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an index of the registry");
        }
        cache->places = grown;
    }
    cache->places[cache->count++] = place;
    return MF_OK;
}

static mf_status fill(mfi_registry_cache *cache, const mfi_registry_dir *dir, mf_error *error)
{
    mfi_registry_entry entry;
    mfi_registry_cache_clear(cache);
    mf_status status = mfi_registry_file_load(&cache->file, dir, error);
    size_t next = 0;
    while (status == MF_OK && mfi_registry_file_next(&cache->file, &entry)) {
        status = add_place(cache, (mfi_registry_place){hash_of(entry.id), next}, error);
        next = cache->file.next;
    }
    cache->filled = status == MF_OK;
    if (status != MF_OK) {
        mfi_registry_doubt doubt = mfi_registry_file_doubt(&cache->file);
        mfi_registry_cache_clear(cache);
        cache->doubt = doubt;
    }
    return status;
}

static void find(mfi_registry_cache *cache, const char *id, mfi_registry_entry *ret_entry)
{
    uint64_t hash = hash_of(id);
    for (size_t i = cache->count; i > 0; i--) {
        if (cache->places[i - 1].hash == hash) {
            cache->file.next = cache->places[i - 1].next;
            if (mfi_registry_file_next(&cache->file, ret_entry) && strcmp(ret_entry->id, id) == 0) {
                return;
            }
        }
    }
    *ret_entry = (mfi_registry_entry){.is_service = false};
}

mf_status mfi_registry_cache_find(mfi_registry_cache *cache, const char *directory, const char *id,
                                  mfi_registry_entry *ret_entry, mf_error *error)
{
    mfi_registry_dir dir;
    mf_status status = mfi_registry_dir_open(&dir, directory, error);
    if (status != MF_OK) {
        mfi_registry_cache_clear(cache);
        return status;
    }
    if (!cache->filled || !mfi_registry_file_current(&cache->file, &dir)) {
        status = fill(cache, &dir, error);
        cache->filled = cache->filled && mfi_age_ns(&cache->file.changed) >= SETTLED_NS;
    }
    mfi_registry_dir_close(&dir);
    if (status == MF_OK) {
        cache->doubt = mfi_registry_file_doubt(&cache->file);
        find(cache, id, ret_entry);
    }
    return status;
}
