/* The locks of the four languages: which are respected, which are broken, and what a holder leaves
 * behind that is killed at any moment. */
#include <dirent.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ptrace.h>

#include "base/clock.h"
#include "core/discovery/file.h"
#include "core/discovery/lock.h"
#include "registry_support.h"

#define PYTHON "registry.lock"
#define GO "services.lock"
#define JAVASCRIPT "services.json.lock"
#define FEWER_CALLS 400 /* a registration makes fewer system calls than this */

static mf_status try_register(mf_registry *registry, mf_error *error)
{
    mf_status status = mf_registry_register(registry, "a", 1, error);
    if (status == MF_OK) {
        mf_check_int(mf_registry_unregister(registry, "a", error), MF_OK);
    }
    return status;
}

/* A lock that has to be respected: named in the error, with its holder, and still there. */
static void check_respected(mf_registry *registry, const char *lock, const char *holder)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(try_register(registry, &error), MF_ERR_TIMEOUT);
    mf_check_contains(error.message, path_of(lock));
    mf_check_contains(error.message, holder);
    mf_check(exists(lock));
    /* Nothing else is held while one is waited for, nor left behind. */
    mf_check_int(exists(PYTHON) + exists(GO) + exists(JAVASCRIPT), 1);
}

static void check_broken(mf_registry *registry)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(try_register(registry, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check(!exists(PYTHON) && !exists(GO) && !exists(JAVASCRIPT));
}

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

/* ---- Our own, inside ---- */

static mfi_registry_dir open_dir(void)
{
    mfi_registry_dir dir;
    mf_check_int(mfi_registry_dir_make(&dir, folder, false, NULL), MF_OK);
    return dir;
}

/* A process that ends while it holds all locks. */
static void leave_locks(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        mfi_registry_lock lock;
        mfi_registry_dir dir = open_dir();
        _exit((int)mfi_registry_lock_take(&lock, &dir, MFI_NEVER, NULL));
    }
    int ended = -1;
    (void)waitpid(pid, &ended, 0);
    mf_check_int(ended, 0);
    mf_check(exists(PYTHON) && exists(GO) && exists(JAVASCRIPT));
}

static void test_a_dead_holder_delays_nobody(void)
{
    mf_registry *registry = open_registry(60);
    leave_locks();
    check_broken(registry);
    leave_locks();
    (void)unlink(path_of(PYTHON)); /* somebody cleared up, but not all: services.lock has the pid */
    (void)rmdir(path_of(JAVASCRIPT));
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_a_word_of_the_dead_is_not_about_what_others_took_since(void)
{
    mf_registry *registry = open_registry(60);
    leave_locks();
    (void)rmdir(path_of(JAVASCRIPT)); /* its inode is given to the next folder */
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    check_respected(registry, JAVASCRIPT, "an unknown process");
    (void)rmdir(path_of(JAVASCRIPT));
    leave_locks();
    (void)unlink(path_of(GO));
    write_text(GO, "");
    check_respected(registry, GO, "an unknown process");
    mf_registry_destroy(registry);
}

static void test_locks_too_old_for_the_word_go_by_their_age(void)
{
    mf_registry *registry = open_registry(60);
    leave_locks();
    make_older(GO, 30); /* the same file as registry.lock */
    make_older(JAVASCRIPT, 30);
    check_broken(registry);
    mf_registry_destroy(registry);
}

static void test_only_own_locks_are_given_back(void)
{
    mfi_registry_lock lock;
    mf_registry *registry = open_registry(60);
    mfi_registry_dir dir = open_dir();
    mf_check_int(mfi_registry_lock_take(&lock, &dir, MFI_NEVER, NULL), MF_OK);
    mf_check(mfi_registry_lock_kept(&lock));
    /* As if we had been stopped, and JavaScript had taken its lock by its rule. */
    mf_check_int(rename(path_of(JAVASCRIPT), path_of("moved")), 0);
    mf_check(!mfi_registry_lock_kept(&lock));
    (void)mkdir(path_of(JAVASCRIPT), 0700);
    mf_check(!mfi_registry_lock_kept(&lock));
    mfi_registry_lock_release(&lock);
    mf_check(exists(JAVASCRIPT) && !exists(PYTHON) && !exists(GO));
    mfi_registry_dir_close(&dir);
    mf_registry_destroy(registry);
}

static void test_a_file_changed_without_a_lock_is_noticed(void)
{
    mfi_registry_file file;
    mf_registry *registry = open_registry(60);
    mfi_registry_dir dir = open_dir();
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    mf_check(mfi_registry_file_current(&file, &dir));
    write_text("services.json.tmp", "{}\n");
    mf_check_int(rename(path_of("services.json.tmp"), path_of("services.json")), 0);
    mf_check(!mfi_registry_file_current(&file, &dir));
    mfi_registry_file_unload(&file);
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    (void)unlink(path_of("services.json"));
    mf_check(!mfi_registry_file_current(&file, &dir));
    mfi_registry_file_unload(&file);
    mfi_registry_dir_close(&dir);
    mf_registry_destroy(registry);
}

static void *register_often(void *argument)
{
    char id[32];
    mf_registry *registry = argument;
    mf_service found = MF_SERVICE_INIT;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "t-%lx", (unsigned long)pthread_self());
        mf_check_int(mf_registry_register(registry, id, 1, NULL), MF_OK);
        mf_check_int(mf_registry_find(registry, id, &found, NULL), MF_OK);
        mf_check_int(mf_registry_unregister(registry, id, NULL), MF_OK);
        mf_check_int(mf_registry_find(registry, id, &found, NULL), MF_ERR_NOT_FOUND);
    }
    return NULL;
}

static void test_threads_share_a_registry(void)
{
    pthread_t threads[4];
    mf_registry *registry = open_registry(30000);
    for (size_t i = 0; i < 4; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, register_often, registry), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    mf_check_str(read_registry(), "{}\n");
    mf_registry_destroy(registry);
}

/* ---- Killed at every system call ---- */

/* Runs act() in another process, and kills that after its n-th system call; false when it came to
 * its end first. */
static bool killed_at(int n, void (*act)(mf_registry *registry), mf_registry *registry)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(1);
        }
        (void)raise(SIGSTOP);
        act(registry);
        _exit(0);
    }
    (void)waitpid(pid, &status, 0);
    for (int i = 0; i < 2 * n && WIFSTOPPED(status); i++) { /* it stops before and after each */
        (void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        (void)waitpid(pid, &status, 0);
    }
    if (WIFSTOPPED(status)) {
        end_process(pid);
        return true;
    }
    mf_check_int(status, 0);
    return false;
}

static void come(mf_registry *registry)
{
    if (mf_registry_register(registry, "victim", 1, NULL) != MF_OK) {
        _exit(2);
    }
}

static void come_and_go(mf_registry *registry)
{
    come(registry);
    if (mf_registry_unregister(registry, "victim", NULL) != MF_OK) {
        _exit(2);
    }
}

/* Whatever a killed process left: the file is whole, nobody's entry is lost, the next one gets on
 * without waiting for a lock to grow old, and takes the dead one's entry out. */
static void check_survival(mf_registry *registry)
{
    static const char *const foreign =
        "\"other\": {\"port\": 7, \"pid\": 1, \"n\": 9007199254740993}";
    mf_error error = MF_ERROR_INIT;
    if (exists("services.json")) {
        mf_check_contains(read_registry(), foreign);
    }
    mf_check_int(mf_registry_register(registry, "next", 2, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_contains(read_registry(), foreign);
    mf_check_contains(read_registry(), "\"next\"");
    mf_check(strstr(read_registry(), "victim") == NULL);
    mf_check_int(mf_registry_unregister(registry, "next", &error), MF_OK);
    mf_check(!exists(PYTHON) && !exists(GO) && !exists(JAVASCRIPT));
}

static void write_foreign(void)
{
    write_text("services.json", "{\"other\": {\"port\": 7, \"pid\": 1, \"n\": 9007199254740993}}");
}

static int sweep_and_count(mf_registry *registry)
{
    int count = 0;
    DIR *list = opendir(folder);
    for (struct dirent *at = readdir(list); at != NULL; at = readdir(list)) {
        if (strncmp(at->d_name, "mf-", 3) == 0) {
            make_older(at->d_name, 11);
        }
    }
    mf_check_int(mf_registry_unregister(registry, "nobody", NULL), MF_OK);
    rewinddir(list);
    for (struct dirent *at = readdir(list); at != NULL; at = readdir(list)) {
        count++;
    }
    (void)closedir(list);
    return count;
}

static void test_killed_at_every_system_call(void)
{
    int n = 1;
    mf_registry *registry = open_registry(5000);
    write_foreign();
    for (; killed_at(n, come_and_go, registry); n++) {
        check_survival(registry);
    }
    mf_check(n > 50);                           /* it really was followed */
    mf_check_int(sweep_and_count(registry), 3); /* ".", ".." and the registry */
    mf_registry_destroy(registry);
}

static void test_killed_while_clearing_up_after_a_killed_one(void)
{
    bool killed = true;
    mf_registry *registry = open_registry(5000);
    for (int n = 1; killed; n++) {
        write_foreign();
        leave_locks();
        killed = killed_at(n, come, registry);
        check_survival(registry);
    }
    mf_registry_destroy(registry);
}

/* The process makes an entry in each round, and a registration costs the same in each: else the
 * rounds would not end. */
static void test_killed_in_a_fresh_home(void)
{
    bool killed = true;
    for (int n = 1; killed && n < FEWER_CALLS; n++) {
        mf_error error = MF_ERROR_INIT;
        mf_registry *registry = open_registry(5000);
        killed = killed_at(n, come, registry);
        mf_check_int(mf_registry_register(registry, "next", 2, &error), MF_OK);
        mf_check_str(error.message, "");
        mf_registry_destroy(registry);
    }
    mf_check(!killed);
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
    {"lock__a_dead_holder_delays_nobody", test_a_dead_holder_delays_nobody},
    {"lock__a_word_of_the_dead_is_not_about_what_others_took_since",
     test_a_word_of_the_dead_is_not_about_what_others_took_since},
    {"lock__too_old_for_the_word_go_by_their_age", test_locks_too_old_for_the_word_go_by_their_age},
    {"lock__only_own_locks_are_given_back", test_only_own_locks_are_given_back},
    {"lock__a_file_changed_without_a_lock_is_noticed",
     test_a_file_changed_without_a_lock_is_noticed},
    {"lock__threads_share_a_registry", test_threads_share_a_registry},
    {"lock__killed_at_every_system_call", test_killed_at_every_system_call},
    {"lock__killed_while_clearing_up_after_a_killed_one",
     test_killed_while_clearing_up_after_a_killed_one},
    {"lock__killed_in_a_fresh_home", test_killed_in_a_fresh_home},
};

/* In memory where that is possible: a thousand operations wait for the disk otherwise. */
int main(int argc, char **argv)
{
    if (access("/dev/shm", W_OK) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 0);
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
