/* The folder of the registry, and the temporary names in it.
 *
 * A new file or folder has the name mf-<pid>-<number>.tmp until one system call moves it to its
 * place. Files that a killed process left under such names are removed by a later writer. */
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
    bool is_closed;   /* only the owner may enter, so nobody else reaches the files */
} mfi_registry_dir;

/* MF_ERR_NOT_FOUND if the folder does not exist; MF_ERR_IO, also if the folder is not trusted: a
 * user other than ours and root owns it, or others may write to it. */
mf_status mfi_registry_dir_open(mfi_registry_dir *ret_dir, const char *path, mf_error *error);
/* As open, but first makes the folder (0700) and an empty registry if they are missing, because
 * peers in JavaScript can lock only an existing file. is_private: only the registry uses the
 * folder, so a folder that others may enter is made 0700. */
mf_status mfi_registry_dir_make(mfi_registry_dir *ret_dir, const char *path, bool is_private,
                                mf_error *error);
void mfi_registry_dir_close(mfi_registry_dir *dir);

/* Writes a name that no other thread or living process uses. */
void mfi_temp_name(char to[MFI_TEMP_NAME_MAX]);
/* Makes a file (0600) with this content under a new temporary name. The file is on the disk when
 * this returns. A failure leaves nothing behind. */
mf_status mfi_temp_write(const mfi_registry_dir *dir, char ret_name[MFI_TEMP_NAME_MAX],
                         const void *data, size_t size, mf_error *error);
/* Removes the temporary files of processes that have ended. */
void mfi_temp_sweep(const mfi_registry_dir *dir);

/* Whoever can change the registry decides where calls are sent. MF_ERR_IO naming what is wrong, if
 * a user other than ours and root owns the file, or if others may write to it. In a closed folder
 * nobody else can use the group's permission. */
struct stat;
mf_status mfi_registry_check_trust(const struct stat *facts, bool in_closed_folder,
                                   const char *what, mf_error *error);

/* Age of a file's time stamp by the wall clock, in nanoseconds; 0 if it lies in the future. */
struct timespec;
uint64_t mfi_age_ns(const struct timespec *stamp);
/* True if the time stamp is further than that from now, in the past or in the future: a clock that
 * was set back leaves files in the future, which no holder would ever bring back. */
bool mfi_is_far_off(const struct timespec *stamp, uint64_t distance_ns);

#endif
