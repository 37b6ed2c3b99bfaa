/* The list of the entries that this process has made. It exists so that an entry with our pid,
 * which an earlier process has left, is never taken for a live service: neither by the service that
 * comes back, nor by a parent in the same process. */
#include "core/discovery/own.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mutex.h"

typedef struct own {
    mfi_list_node node;
    char *directory, *id;
    uint16_t port;
    pid_t pid; /* a forked process has a copy of this list, and made none of the entries */
} own;

static mfi_mutex mutex = MFI_MUTEX_INIT;
static mfi_list entries; /* guarded by mutex */

static own *find_locked(const char *directory, const char *id)
{
    pid_t pid = getpid();
    for (mfi_list_node *at = entries.first; at != NULL; at = at->next) {
        own *entry = MFI_CONTAINER(at, own, node);
        if (entry->pid == pid && strcmp(entry->id, id) == 0 &&
            strcmp(entry->directory, directory) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void free_own(own *entry)
{
    if (entry != NULL) {
        free(entry->directory);
        free(entry->id);
        free(entry);
    }
}

static own *make_own(const char *directory, const char *id)
{
    own *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->directory = strdup(directory);
        made->id = strdup(id);
        made->pid = getpid();
    }
    if (made != NULL && (made->directory == NULL || made->id == NULL)) {
        free_own(made);
        made = NULL;
    }
    return made;
}

mf_status mfi_registry_own_add(const char *directory, const char *id, uint16_t port,
                               mf_error *error)
{
    own *fresh = make_own(directory, id);
    if (fresh == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an entry of the registry");
    }
    mfi_mutex_lock(&mutex);
    own *entry = find_locked(directory, id);
    if (entry == NULL) {
        entry = fresh;
        fresh = NULL;
        mfi_list_push_back(&entries, &entry->node);
    }
    entry->port = port;
    mfi_mutex_unlock(&mutex);
    free_own(fresh);
    return MF_OK;
}

void mfi_registry_own_remove(const char *directory, const char *id)
{
    mfi_mutex_lock(&mutex);
    own *entry = find_locked(directory, id);
    if (entry != NULL) {
        mfi_list_remove(&entries, &entry->node);
    }
    mfi_mutex_unlock(&mutex);
    free_own(entry);
}

bool mfi_registry_own_has(const char *id, uint16_t port)
{
    bool found = false;
    pid_t pid = getpid();
    mfi_mutex_lock(&mutex);
    for (mfi_list_node *at = entries.first; at != NULL && !found; at = at->next) {
        const own *entry = MFI_CONTAINER(at, own, node);
        found = entry->pid == pid && entry->port == port && strcmp(entry->id, id) == 0;
    }
    mfi_mutex_unlock(&mutex);
    return found;
}
