/* Where an admin socket is. */
#ifndef MFI_ADMIN_PATH_H
#define MFI_ADMIN_PATH_H

#include <sys/types.h>
#include <sys/un.h>

#include <multifrost/error.h>

#define MFI_ADMIN_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path) /* with the NUL */

typedef struct mfi_admin_path {
    char text[MFI_ADMIN_PATH_MAX];
    char name[MFI_ADMIN_PATH_MAX]; /* in its folder */
    int folder_fd;
    dev_t device;
    ino_t inode; /* of the socket's file */
} mfi_admin_path;

/* Makes a listening socket at the path. given NULL: at the default path of this service. On MF_OK
 * both are to be released by mfi_admin_path_close(). */
mf_status mfi_admin_path_listen(mfi_admin_path *ret_path, int *ret_fd, const char *given,
                                const char *service, mf_error *error);
/* Removes the file, if it is still the one that was made, and closes the folder. */
void mfi_admin_path_close(mfi_admin_path *path);

#endif
