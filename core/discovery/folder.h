/* The folder of the registry, and the temporary names in it.
 *
 * What is being made carries the name mf-<pid>-<number>.tmp until it is moved to its place by one
 * system call; what a killed process left under such a name is swept away by a later writer. */
#ifndef MFI_DISCOVERY_FOLDER_H
#define MFI_DISCOVERY_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/error.h>

#define MFI_REGISTRY_FILE "services.json"
#define MFI_TEMP_NAME_MAX 48

typedef struct mfi_registry_dir {
    int fd;
    const char *path; /* borrowed, for messages */
} mfi_registry_dir;

/* MF_ERR_NOT_FOUND when it does not exist; MF_ERR_IO, also when it belongs to another user. */
mf_status mfi_registry_dir_open(mfi_registry_dir *ret_dir, const char *path, mf_error *error);
/* As open, but makes the folder (0700) and an empty registry in it where there is none: peers in
 * JavaScript can lock only a file that exists. is_private: it is the registry's alone, so one that
 * others may enter is made 0700 too. */
mf_status mfi_registry_dir_make(mfi_registry_dir *ret_dir, const char *path, bool is_private,
                                mf_error *error);
void mfi_registry_dir_close(mfi_registry_dir *dir);

/* A name that no other thread or living process uses. */
void mfi_temp_name(char to[MFI_TEMP_NAME_MAX]);
/* Makes a file (0600) with this content under a fresh temporary name, on the disk when it returns.
 * Nothing is left behind on failure. */
mf_status mfi_temp_write(const mfi_registry_dir *dir, char ret_name[MFI_TEMP_NAME_MAX],
                         const void *data, size_t size, mf_error *error);
/* Removes what processes that have ended left behind. */
void mfi_temp_sweep(const mfi_registry_dir *dir);

/* Wall-clock age of a time stamp of a file, in nanoseconds; 0 if it lies in the future. */
struct timespec;
uint64_t mfi_age_ns(const struct timespec *stamp);

#endif
