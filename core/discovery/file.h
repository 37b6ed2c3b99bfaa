/* The registry's file: one JSON object, from service id to entry.
 *
 * Only the fields that are needed are parsed. Entries that are kept are copied as text, so that
 * fields, spellings and integers of other programs survive to the byte. */
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
    /* Which file was read: every writer leaves another file, or another time stamp. */
    bool exists;
    dev_t device;
    ino_t inode;
    struct timespec changed;
    size_t next; /* offset of the next entry */
} mfi_registry_file;

/* One member of the object; valid as long as the file. */
typedef struct mfi_registry_entry {
    const char *text; /* the whole member: "id": {...} */
    size_t length;
    char id[MF_SERVICE_ID_MAX];      /* "" for a name that no service can have */
    bool is_service;                 /* it has a port and a pid: the fields below are set */
    mf_service service;              /* without `alive`: see mfi_registry_entry_alive */
    char mark[MFI_PROCESS_MARK_MAX]; /* of the entry's process, or "" */
} mfi_registry_entry;

/* True if a service may have this id. */
bool mfi_service_id_valid(const char *id);

/* Reads and checks the whole file. A missing file is like an empty object. MF_ERR_PROTOCOL naming
 * file and offset; MF_ERR_IO; MF_ERR_NO_MEMORY. */
mf_status mfi_registry_file_load(mfi_registry_file *ret_file, const mfi_registry_dir *dir,
                                 mf_error *error);
void mfi_registry_file_unload(mfi_registry_file *file);
/* Gives the entries in their order, also dead and malformed ones; false after the last. */
bool mfi_registry_file_next(mfi_registry_file *file, mfi_registry_entry *ret_entry);
/* Whether the entry's process lives; also sets service.alive. Reads /proc for every entry. */
bool mfi_registry_entry_alive(mfi_registry_entry *entry);
/* True if the file on disk is still the file that was read. */
bool mfi_registry_file_current(const mfi_registry_file *file, const mfi_registry_dir *dir);

/* Makes a new text: begin, kept or added entries, end. */
void mfi_registry_text_begin(mfi_buf *text);
void mfi_registry_text_keep(mfi_buf *text, const mfi_registry_entry *entry);
void mfi_registry_text_add(mfi_buf *text, const char *id, uint16_t port, int64_t pid);
void mfi_registry_text_end(mfi_buf *text);

#endif
