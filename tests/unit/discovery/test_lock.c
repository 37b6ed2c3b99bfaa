/* The locks of the four languages: which are respected, and which are broken. */
#include <dirent.h>
#include <pthread.h>
#include <sys/file.h>

#include "base/clock.h"
#include "core/discovery/file.h"
#include "core/discovery/lock.h"
#include "lock_support.h"

/* ---- Locks of the others ---- */

static void test_python(void)
{
    char text[32];
    mf_registry *registry = open_registry(60);
    pid_t holder = start_sleeper();
    (void)snprintf(text, sizeof text, "%d", (int)holder);
    write_text(PYTHON, text);
    (void)snprintf(text, sizeof text, "held by process %d ", (int)holder);
    check_respected(registry, PYTHON, text);
    end_process(holder);
    write_text(PYTHON, "1");
    make_older(PYTHON, 11); /* a living holder may take its time */
    check_respected(registry, PYTHON, "held by process 1 ");
    (void)snprintf(text, sizeof text, "%d", dead_pid());
    write_text(PYTHON, text);
    check_broken(registry);
    mf_registry_destroy(registry);
}

/* In a container every life of a service has the same pid. A holder of ours would hold flock. */
static void test_python_with_our_own_pid(void)
{
    char text[32];
    mf_registry *registry = open_registry(60);
    (void)snprintf(text, sizeof text, "%d", (int)getpid());
    write_text(PYTHON, text);
    int fd = open(path_of(PYTHON), O_RDWR | O_CLOEXEC);
    mf_check_int(flock(fd, LOCK_EX), 0);
    (void)snprintf(text, sizeof text, "held by process %d ", (int)getpid());
    check_respected(registry, PYTHON, text);
    (void)close(fd);
    check_broken(registry);
    mf_registry_destroy(registry);
}

/* ---- Locks that no language makes so ---- */

static void check_named(mf_registry *registry, const char *lock, const char *kind)
{
    char text[900];
    mf_error error = MF_ERROR_INIT;
    struct stat before;
    struct stat after;
    mf_check_int(lstat(path_of(lock), &before), 0);
    mf_check_int(try_register(registry, &error), MF_ERR_IO);
    (void)snprintf(text, sizeof text, "the lock '%s' is %s,", path_of(lock), kind);
    mf_check_contains(error.message, text);
    mf_check_int(lstat(path_of(lock), &after), 0);
    mf_check(after.st_ino == before.st_ino && after.st_mode == before.st_mode);
    mf_check_int(exists(PYTHON) + exists(GO) + exists(JAVASCRIPT), exists(lock) ? 1 : 0);
}

static void check_odd_kinds(const char *lock, bool is_folder)
{
    mf_registry *registry = open_registry(0); /* the full wait: an error must come before it */
    write_text("services.json", "{}");
    write_text("target", "1");
    if (is_folder) {
        write_text(lock, "");
        make_older(lock, 60);
        check_named(registry, lock, "a file");
        mf_check_int(unlink(path_of(lock)), 0);
    } else {
        mf_check_int(mkdir(path_of(lock), 0700), 0);
        make_older(lock, 60);
        check_named(registry, lock, "a folder");
        mf_check_int(rmdir(path_of(lock)), 0);
    }
    mf_check_int(symlink("target", path_of(lock)), 0);
    make_older(lock, 60);
    check_named(registry, lock, "a symbolic link");
    mf_check_int(unlink(path_of(lock)), 0);
    mf_check_int(symlink("nowhere", path_of(lock)), 0);
    check_named(registry, lock, "a symbolic link");
    mf_check(!exists("nowhere") && exists("target"));
    mf_check_int(unlink(path_of(lock)), 0);
    mf_check_int(mkfifo(path_of(lock), 0600), 0);
    make_older(lock, 60);
    check_named(registry, lock, "a pipe");
    mf_check_int(unlink(path_of(lock)), 0);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_a_lock_of_another_kind_is_named(void)
{
    check_odd_kinds(PYTHON, false);
    check_odd_kinds(GO, false);
    check_odd_kinds(JAVASCRIPT, true);
}

static void test_a_lock_far_in_the_future_is_stale(void)
{
    mf_registry *registry = open_registry(60);
    write_text(GO, "");
    make_older(GO, -9);
    check_respected(registry, GO, "s in the future");
    make_older(GO, -60);
    check_broken(registry);
    write_text(PYTHON, "");
    make_older(PYTHON, -9);
    check_respected(registry, PYTHON, "s in the future");
    make_older(PYTHON, -60);
    check_broken(registry);
    write_text(PYTHON, "1"); /* its holder lives, whatever the time */
    make_older(PYTHON, -60);
    check_respected(registry, PYTHON, "held by process 1 ");
    mf_check_int(unlink(path_of(PYTHON)), 0);
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    make_older(JAVASCRIPT, -9);
    check_respected(registry, JAVASCRIPT, "s in the future");
    make_older(JAVASCRIPT, -60);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_a_full_lock_folder_is_named(void)
{
    mf_registry *registry = open_registry(60);
    write_text("services.json", "{}");
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    write_text(JAVASCRIPT "/x", "");
    make_older(JAVASCRIPT, 60);
    check_respected(registry, JAVASCRIPT, "but not empty: remove it");
    mf_registry_destroy(registry);
}

/* The pid is of a process that started after the lock was written. */
static void test_python_with_a_pid_that_was_given_away(void)
{
    char text[64];
    mf_registry *registry = open_registry(60);
    pid_t stranger = start_sleeper();
    (void)snprintf(text, sizeof text, "%d", (int)stranger);
    write_text(PYTHON, text);
    (void)snprintf(text, sizeof text, "held by process %d ", (int)stranger);
    check_respected(registry, PYTHON, text);
    make_older(PYTHON, 3600);
    int fd = open(path_of(PYTHON), O_RDWR | O_CLOEXEC);
    mf_check_int(flock(fd, LOCK_EX), 0); /* the clock was set, and the holder is there after all */
    check_respected(registry, PYTHON, text);
    (void)close(fd);
    check_broken(registry);
    end_process(stranger);
    mf_registry_destroy(registry);
}

static void check_python_without_a_pid(const char *text)
{
    mf_registry *registry = open_registry(60);
    write_text(PYTHON, text);
    make_older(PYTHON, 8);
    check_respected(registry, PYTHON, "an unknown process");
    make_older(PYTHON, 11);
    int fd = open(path_of(PYTHON), O_RDWR | O_CLOEXEC);
    mf_check_int(flock(fd, LOCK_EX), 0); /* old, but somebody is there */
    check_respected(registry, PYTHON, "an unknown process");
    (void)close(fd);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_python_before_it_wrote_its_pid(void)
{
    check_python_without_a_pid("");
}

static void test_python_with_garbage(void)
{
    check_python_without_a_pid("not a pid");
    check_python_without_a_pid("-1");
    check_python_without_a_pid("99999999999999999999 mark 1 2");
}

static void test_go(void)
{
    mf_registry *registry = open_registry(60);
    write_text(GO, "");
    make_older(GO, 8);
    check_respected(registry, GO, "an unknown process");
    make_older(GO, 11);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_javascript(void)
{
    mf_registry *registry = open_registry(60);
    write_text("services.json", "{}");
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    check_respected(registry, JAVASCRIPT, "an unknown process");
    make_older(JAVASCRIPT, 8);
    check_respected(registry, JAVASCRIPT, "an unknown process");
    make_older(JAVASCRIPT, 11);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_a_lock_that_is_released_is_taken(void)
{
    char text[32];
    mf_registry *registry = open_registry(30000);
    pid_t holder = start_sleeper();
    (void)snprintf(text, sizeof text, "%d", (int)holder);
    write_text(PYTHON, text);
    pid_t pid = fork();
    if (pid == 0) {
        _exit((int)mf_registry_register(registry, "a", 1, NULL));
    }
    mf_check_int(waitpid(pid, NULL, WNOHANG), 0);
    end_process(holder);
    int ended = -1;
    (void)waitpid(pid, &ended, 0);
    mf_check_int(ended, 0);
    mf_registry_destroy(registry);
}

static bool take_python(void *data)
{
    int *fd = data;
    *fd = open(path_of(PYTHON), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    return *fd >= 0;
}

static void test_waiting_for_one_lock_blocks_nobody_else(void)
{
    mf_registry *registry = open_registry(60000);
    write_text("services.json", "{}");
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    pid_t pid = fork();
    if (pid == 0) {
        _exit((int)mf_registry_register(registry, "a", 1, NULL));
    }
    for (int i = 0; i < 20; i++) { /* the other waits, and yet Python gets on */
        int fd = -1;
        mf_check(mf_test_until(take_python, &fd, MF_TEST_PATIENCE_MS));
        (void)close(fd);
        mf_check_int(unlink(path_of(PYTHON)), 0);
    }
    end_process(pid);
    mf_registry_destroy(registry);
}

static const mf_test tests[] = {
    {"lock__python_is_respected_until_its_holder_is_dead", test_python},
    {"lock__python_with_our_own_pid_is_broken", test_python_with_our_own_pid},
    {"lock__of_another_kind_is_named", test_a_lock_of_another_kind_is_named},
    {"lock__far_in_the_future_is_stale", test_a_lock_far_in_the_future_is_stale},
    {"lock__a_full_folder_is_named", test_a_full_lock_folder_is_named},
    {"lock__python_without_a_pid_is_broken_when_old", test_python_before_it_wrote_its_pid},
    {"lock__python_with_garbage_is_broken_when_old", test_python_with_garbage},
    {"lock__python_with_a_pid_that_was_given_away_is_broken",
     test_python_with_a_pid_that_was_given_away},
    {"lock__go_is_broken_when_old", test_go},
    {"lock__javascript_is_broken_when_old", test_javascript},
    {"lock__a_lock_that_is_released_is_taken", test_a_lock_that_is_released_is_taken},
    {"lock__waiting_for_one_lock_blocks_nobody_else", test_waiting_for_one_lock_blocks_nobody_else},
};

/* In memory where that is possible: a thousand operations wait for the disk otherwise. */
int main(int argc, char **argv)
{
    if (access("/dev/shm", W_OK) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 0);
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
