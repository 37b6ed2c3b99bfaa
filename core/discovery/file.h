/* The file itself: one JSON object, service id to entry.
 *
 * Only what has to be understood is parsed. What is kept is copied as the text that it is, so that
 * fields, spellings and integers of others survive to the byte. */
#ifndef MFI_DISCOVERY_FILE_H
#define MFI_DISCOVERY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include <multifrost/registry.h>

#include "base/buf.h"
#include "core/discovery/folder.h"
#include "core/process/alive.h"

#define MFI_REGISTRY_FILE_MAX ((size_t)4 << 20)

typedef struct mfi_registry_file {
    char *text;
    size_t length;
    /* Which file it was: every writer leaves another one, or another time stamp. */
    bool exists;
    dev_t device;
    ino_t inode;
    struct timespec changed;
    size_t next; /* where the next entry begins */
} mfi_registry_file;

/* One member of the object; valid as long as the file. */
typedef struct mfi_registry_entry {
    const char *text; /* all of it: "id": {...} */
    size_t length;
    char id[MF_SERVICE_ID_MAX];      /* "" for one that no service can have */
    bool is_service;                 /* it has a port and a pid: what follows is set */
    mf_service service;              /* but for `alive`: see mfi_registry_entry_alive */
    char mark[MFI_PROCESS_MARK_MAX]; /* of its process, or "" */
} mfi_registry_entry;

/* Whether a service may be called so. */
bool mfi_service_id_valid(const char *id);

/* Reads and checks all of it. An absent file is like an empty object.
 * MF_ERR_PROTOCOL naming file and offset; MF_ERR_IO; MF_ERR_NO_MEMORY. */
mf_status mfi_registry_file_load(mfi_registry_file *ret_file, const mfi_registry_dir *dir,
                                 mf_error *error);
void mfi_registry_file_unload(mfi_registry_file *file);
/* The entries in their order, dead ones and oddities too; false behind the last. */
bool mfi_registry_file_next(mfi_registry_file *file, mfi_registry_entry *ret_entry);
/* Whether its process lives, written to service.alive too: a look at the system for each entry. */
bool mfi_registry_entry_alive(mfi_registry_entry *entry);
/* Whether it is still the one that was read. */
bool mfi_registry_file_current(const mfi_registry_file *file, const mfi_registry_dir *dir);

/* Making a new text: begin, entries that are kept or added, end. */
void mfi_registry_text_begin(mfi_buf *text);
void mfi_registry_text_keep(mfi_buf *text, const mfi_registry_entry *entry);
void mfi_registry_text_add(mfi_buf *text, const char *id, uint16_t port, int64_t pid);
void mfi_registry_text_end(mfi_buf *text);

#endif
