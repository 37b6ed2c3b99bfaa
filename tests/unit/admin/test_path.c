/* The place of an admin socket: who may have it, and what is left alone there. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/path.h"
#include "base/error.h"
#include "mf_test.h"

static char made[512];

static const char *path_of(const char *name)
{
    (void)snprintf(made, sizeof made, "%s/%s", mf_test_temp_dir(), name);
    return made;
}

static mf_status take(mfi_admin_path *path, int *fd, const char *given, mf_error *error)
{
    mfi_error_clear(error);
    return mfi_admin_path_listen(path, fd, given, "service", error);
}

static void release(mfi_admin_path *path, int fd)
{
    mfi_admin_path_close(path);
    (void)close(fd);
}

static void check_refused(const char *given, mf_status wanted, const char *why)
{
    mfi_admin_path path;
    mf_error error;
    int fd = -1;
    mf_check_int(take(&path, &fd, given, &error), wanted);
    mf_check_contains(error.message, why);
    mf_check_int(fd, -1);
}

static void test_makes_and_removes(void)
{
    mfi_admin_path path;
    mf_error error;
    struct stat facts;
    int fd = -1;
    mode_t before = umask(0);
    mf_check_int(take(&path, &fd, path_of("new.sock"), &error), MF_OK);
    (void)umask(before);
    mf_check_int(lstat(path.text, &facts), 0);
    mf_check(S_ISSOCK(facts.st_mode));
    mf_check_int(facts.st_mode & 07777, 0600);
    release(&path, fd);
    mf_check_int(lstat(path.text, &facts), -1);
}

static void test_one_listens(void)
{
    mfi_admin_path path;
    mf_error error;
    int fd = -1;
    mf_check_int(take(&path, &fd, path_of("one.sock"), &error), MF_OK);
    check_refused(path.text, MF_ERR_ADDRESS_IN_USE, "a process listens at");
    release(&path, fd);
}

/* As a process leaves it that was killed. */
static void test_takes_the_place_of_the_dead(void)
{
    mfi_admin_path path;
    mf_error error;
    int fd = -1;
    mf_check_int(take(&path, &fd, path_of("dead.sock"), &error), MF_OK);
    (void)close(fd);
    (void)close(path.folder_fd);
    mf_check_int(access(path.text, F_OK), 0);
    mf_check_int(take(&path, &fd, path_of("dead.sock"), &error), MF_OK);
    mf_check_str(error.message, "");
    release(&path, fd);
}

static void test_other_files_stay(void)
{
    char file[512];
    struct stat facts;
    (void)snprintf(file, sizeof file, "%s", path_of("file"));
    mf_check_int(close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    check_refused(file, MF_ERR_EXISTS, "is a file, and no socket");
    mf_check_int(symlink("nowhere", path_of("link")), 0);
    check_refused(path_of("link"), MF_ERR_EXISTS, "is a symbolic link, and no socket");
    mf_check_int(lstat(path_of("nowhere"), &facts), -1); /* it was not followed */
    check_refused(path_of(""), MF_ERR_INVALID_ARGUMENT, "names a folder");
}

/* Whatever took the socket's place meanwhile is not removed. */
static void test_leaves_what_came_later(void)
{
    mfi_admin_path path;
    mf_error error;
    int fd = -1;
    mf_check_int(take(&path, &fd, path_of("later"), &error), MF_OK);
    mf_check_int(rename(path.text, path_of("moved")), 0);
    mf_check_int(close(open(path.text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    release(&path, fd);
    mf_check_int(access(path.text, F_OK), 0);
}

static void test_folders(void)
{
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s", path_of("open"));
    mf_check_int(mkdir(folder, 0700), 0);
    mf_check_int(chmod(folder, 0777), 0);
    check_refused(path_of("open/a.sock"), MF_ERR_IO, "others may write to the folder");
    mf_check_int(symlink(folder, path_of("to_open")), 0);
    check_refused(path_of("to_open/a.sock"), MF_ERR_IO, "cannot open the folder");
    check_refused(path_of("none/a.sock"), MF_ERR_IO, "cannot open the folder");
}

/* In /tmp another user may hold the lock for ever. */
static void test_a_lock_of_another_is_not_waited_for_long(void)
{
    mfi_admin_path path;
    mf_error error;
    int fd = -1;
    int folder = open(mf_test_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mf_check_int(flock(folder, LOCK_EX), 0);
    check_refused(path_of("locked.sock"), MF_ERR_IO, "cannot lock the folder of");
    mf_check_int(close(folder), 0);
    mf_check_int(take(&path, &fd, path_of("locked.sock"), &error), MF_OK);
    release(&path, fd);
}

static void test_lengths(void)
{
    char given[400];
    memset(given, 'a', sizeof given);
    given[0] = '/';
    given[108] = '\0';
    check_refused(given, MF_ERR_INVALID_ARGUMENT,
                  "the path of an admin socket has 108 bytes; it must have 1 to 107");
    check_refused("", MF_ERR_INVALID_ARGUMENT, "has 0 bytes");
}

static void test_default(void)
{
    mfi_admin_path path;
    mf_error error;
    char wanted[512];
    int fd = -1;
    mf_check_int(unsetenv("XDG_RUNTIME_DIR"), 0);
    check_refused(NULL, MF_ERR_INVALID_ARGUMENT,
                  "mf_admin_options.path is not set, and "
                  "XDG_RUNTIME_DIR names no folder");
    mf_check_int(setenv("XDG_RUNTIME_DIR", mf_test_temp_dir(), 1), 0);
    mf_check_int(take(&path, &fd, NULL, &error), MF_OK);
    (void)snprintf(wanted, sizeof wanted, "%s/multifrost/service.%d.sock", mf_test_temp_dir(),
                   (int)getpid());
    mf_check_str(path.text, wanted);
    release(&path, fd);
}

static const mf_test tests[] = {
    {"path__makes_and_removes_a_socket", test_makes_and_removes},
    {"path__one_process_listens", test_one_listens},
    {"path__takes_the_place_of_the_dead", test_takes_the_place_of_the_dead},
    {"path__other_files_stay", test_other_files_stay},
    {"path__leaves_what_came_later", test_leaves_what_came_later},
    {"path__folders_that_are_not_trusted", test_folders},
    {"path__a_lock_of_another_is_not_waited_for_long",
     test_a_lock_of_another_is_not_waited_for_long},
    {"path__lengths", test_lengths},
    {"path__default", test_default},
};
MF_TEST_MAIN(tests)
