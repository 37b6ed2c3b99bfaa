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

/* What a file holds. A peer that writes in place leaves the file blank and then cut for a moment.
 */
typedef enum mfi_registry_shape {
    MFI_REGISTRY_WHOLE, /* an object; also no file at all */
    MFI_REGISTRY_BLANK, /* nothing, or only white space */
    MFI_REGISTRY_CUT,   /* an object that is not closed */
    MFI_REGISTRY_DAMAGED
} mfi_registry_shape;

/* Whether a peer may be writing a file that could not be read. */
typedef enum mfi_registry_doubt {
    MFI_REGISTRY_SURE,    /* the file was read, or a peer has left it so */
    MFI_REGISTRY_WRITTEN, /* the file is so young that a peer may be writing it */
    MFI_REGISTRY_TORN     /* the file is cut, and older */
} mfi_registry_doubt;

typedef struct mfi_registry_file {
    mfi_registry_shape shape; /* set after a failure too, as the facts below */
    char *text;
    size_t length;
    /* Which file was read: every writer leaves another file, or another time stamp. */
    bool exists;
    dev_t device;
    ino_t inode;
    struct timespec changed, touched; /* content; content or permissions */
    size_t size;
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

/* Reads and checks the whole file. A missing file and a blank one are like an empty object.
 * MF_ERR_PROTOCOL naming file and offset; MF_ERR_IO, also if the file is not trusted;
 * MF_ERR_NO_MEMORY. */
mf_status mfi_registry_file_load(mfi_registry_file *ret_file, const mfi_registry_dir *dir,
                                 mf_error *error);
void mfi_registry_file_unload(mfi_registry_file *file);
/* After a reading that succeeded, or that failed with MF_ERR_PROTOCOL. */
mfi_registry_doubt mfi_registry_file_doubt(const mfi_registry_file *file);
/* Names the fault of a blank file. */
mf_status mfi_registry_file_fail_blank(const mfi_registry_file *file, const mfi_registry_dir *dir,
                                       mf_error *error);
/* Gives the entries in their order, also dead and malformed ones; false after the last. */
bool mfi_registry_file_next(mfi_registry_file *file, mfi_registry_entry *ret_entry);
/* Whether the entry's process lives; also sets service.alive. Reads /proc for every entry. An entry
 * with the pid of this process lives only if this process made the entry. */
bool mfi_registry_entry_alive(mfi_registry_entry *entry);
/* True if the file on disk is still the file that was read. */
bool mfi_registry_file_current(const mfi_registry_file *file, const mfi_registry_dir *dir);

/* Makes a new text: begin, kept or added entries, end. */
void mfi_registry_text_begin(mfi_buf *text);
void mfi_registry_text_keep(mfi_buf *text, const mfi_registry_entry *entry);
void mfi_registry_text_add(mfi_buf *text, const char *id, uint16_t port, int64_t pid);
void mfi_registry_text_end(mfi_buf *text);

#endif
