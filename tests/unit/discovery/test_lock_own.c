/* The locks of this library: what a holder leaves behind that is killed at any moment, and what
 * others do meanwhile. */
#include <dirent.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ptrace.h>

#include "base/clock.h"
#include "core/discovery/file.h"
#include "core/discovery/lock.h"
#include "lock_support.h"

#define FEWER_CALLS 400 /* a registration makes fewer system calls than this */

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
