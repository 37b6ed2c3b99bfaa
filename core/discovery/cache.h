/* The registry's file as it was read last, with an index, so that many look-ups need one reading.
 */
#ifndef MFI_DISCOVERY_CACHE_H
#define MFI_DISCOVERY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/discovery/file.h"

typedef struct mfi_registry_place {
    uint64_t hash; /* of the id */
    size_t next;   /* where mfi_registry_file_next() finds the entry */
} mfi_registry_place;

typedef struct mfi_registry_cache {
    mfi_registry_file file;
    bool filled;
    mfi_registry_doubt doubt; /* of the last reading */
    mfi_registry_place *places;
    size_t count;
} mfi_registry_cache;

/* Finds the entry of a service id; id "" if there is none. Of several entries the last one counts,
 * as in the other languages. Reads the file again if it has changed. The entry is valid until the
 * cache is used again. cache->doubt says whether the answer may change at once, because a peer
 * writes the file just now; it is set after MF_ERR_PROTOCOL too. Errors of mfi_registry_dir_open()
 * and mfi_registry_file_load(). */
mf_status mfi_registry_cache_find(mfi_registry_cache *cache, const char *directory, const char *id,
                                  mfi_registry_entry *ret_entry, mf_error *error);
/* Frees what was read. */
void mfi_registry_cache_clear(mfi_registry_cache *cache);

#endif
