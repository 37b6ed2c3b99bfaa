/* Starts multifrost-exec with the pipes and the environment that it needs. It exists apart from
 * exits.c, because a start needs no state of its own and waits for nobody: a helper that is slow,
 * or stuck, must hold up nobody but its own worker. */
#include "core/process/spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/process/private.h"

extern char **environ;

void mfi_process_init(mfi_process *process)
{
    *process = (mfi_process){
        .pidfd = -1, .status_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .death_fd = -1};
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void mfi_process_close(mfi_process *process)
{
    close_fd(&process->pidfd);
    close_fd(&process->status_fd);
    close_fd(&process->stdout_fd);
    close_fd(&process->stderr_fd);
    close_fd(&process->death_fd);
}

/* ---- Environment ---- */

static size_t name_length(const char *entry)
{
    const char *equals = strchr(entry, '=');
    return equals != NULL ? (size_t)(equals - entry) : strlen(entry);
}

static bool same_name(const char *a, const char *b)
{
    size_t length = name_length(a);
    return length == name_length(b) && strncmp(a, b, length) == 0;
}

/* Variables of the service manager, and of this process's own parent, are for this process alone.
 */
static bool is_private(const char *entry)
{
    return strncmp(entry, "NOTIFY_SOCKET=", 14) == 0 || strncmp(entry, "WATCHDOG_", 9) == 0 ||
           mfi_private_is(entry);
}

/* Copies the environment, with the entries of `over` in place of those of the same name, and the
 * entries that name what the worker inherits: its pipes, and its segment unless that is NULL.
 * Borrows all texts; NULL without memory. */
static char **make_environment(const char *const *over, char *pipes, char *segment)
{
    size_t own = 0;
    size_t more = 0;
    while (environ[own] != NULL) {
        own++;
    }
    while (over != NULL && over[more] != NULL) {
        more++;
    }
    char **all = calloc(own + more + 3, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; all != NULL && i < own; i++) {
        bool replaced = is_private(environ[i]);
        for (size_t j = 0; j < more && !replaced; j++) {
            replaced = same_name(environ[i], over[j]);
        }
        if (!replaced) {
            all[count++] = environ[i];
        }
    }
    for (size_t j = 0; all != NULL && j < more; j++) {
        all[count++] = (char *)(uintptr_t)over[j]; /* posix_spawn does not write to it */
    }
    if (all != NULL) {
        all[count] = pipes;
        all[count + 1] = segment;
    }
    return all;
}

/* ---- The helper ---- */

/* Finds the file that holds this code: the shared library, or the program that the static library
 * is linked into (whose name the link map leaves empty). */
static bool own_file(char *to)
{
    static const char here = 0;
    Dl_info info;
    struct link_map *map = NULL;
    const char *file = "/proc/self/exe";
    if (dladdr1(&here, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 && map->l_name[0] != '\0') {
        file = map->l_name;
    }
    return realpath(file, to) != NULL;
}

/* Writes the absolute path of a usable helper to `to`, PATH_MAX bytes. Places relative to our own
 * file are tried first, because an installed tree may have been moved. The configured place is
 * tried last. */
static bool find_helper(char *to, const mfi_spawn_options *options, mf_error *error)
{
    char own[PATH_MAX];
    char beside[2][PATH_MAX] = {"", ""};
    if (own_file(own)) {
        *strrchr(own, '/') = '\0';
        (void)mfi_str_format(beside[0], PATH_MAX, "%s/" MFI_EXEC_FROM_LIBRARY, own);
        (void)mfi_str_format(beside[1], PATH_MAX, "%s/" MFI_EXEC_FROM_BUILD, own);
    }
    const char *const places[] = {options->helper_path,
                                  getenv("MULTIFROST_EXEC"), /* NOLINT: read only */
                                  beside[0], beside[1], MFI_EXEC_INSTALLED_PATH};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        /* Resolved, because a relative path would be searched from the worker's directory. */
        if (places[i] != NULL && places[i][0] != '\0' && access(places[i], X_OK) == 0 &&
            realpath(places[i], to) != NULL) {
            return true;
        }
    }
    (void)mfi_fail(error, MF_ERR_START_FAILED,
                   "the helper multifrost-exec is neither at %s nor at %s (MULTIFROST_EXEC names "
                   "another place)",
                   beside[0], MFI_EXEC_INSTALLED_PATH);
    return false;
}

typedef struct pipes {
    int out[2], err[2], death[2], status[2];
} pipes;

static void close_pipes(pipes *all)
{
    int *ends[] = {all->out, all->err, all->death, all->status};
    for (size_t i = 0; i < 4; i++) {
        close_fd(&ends[i][0]);
        close_fd(&ends[i][1]);
    }
}

static mf_status open_pipes(pipes *all, mf_error *error)
{
    *all = (pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(all->out, O_CLOEXEC) != 0 || pipe2(all->err, O_CLOEXEC) != 0 ||
        pipe2(all->death, O_CLOEXEC) != 0 || pipe2(all->status, O_CLOEXEC) != 0 ||
        fcntl(all->out[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(all->err[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(all->status[0], F_SETFL, O_NONBLOCK) != 0) {
        mf_status status =
            mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make pipes for a worker");
        close_pipes(all);
        return status;
    }
    return MF_OK;
}

/* Two descriptors must stay open across the exec, under known numbers, and the segment too, unless
 * that is 0. A dup2 of a descriptor onto itself, as a file action, clears its close-on-exec flag.
 */
static int spawn_helper(const char *helper, char **argv, char **envp, const pipes *all,
                        int segment_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    (void)sigemptyset(&none);
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) {
        return result;
    }
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setpgroup(&attributes, 0); /* no terminal signals reach it */
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        result |= posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        result |= posix_spawn_file_actions_adddup2(&actions, all->out[1], 1);
        result |= posix_spawn_file_actions_adddup2(&actions, all->err[1], 2);
        result |= posix_spawn_file_actions_adddup2(&actions, all->death[0], all->death[0]);
        result |= posix_spawn_file_actions_adddup2(&actions, all->status[1], all->status[1]);
        if (segment_fd != 0) {
            result |= posix_spawn_file_actions_adddup2(&actions, segment_fd, segment_fd);
        }
        if (result == 0) {
            result = posix_spawn(ret_pid, helper, &actions, &attributes, argv, envp);
        }
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return result;
}

/* The numbers that the helper is told, as texts. */
typedef struct numbers {
    char parent[16], death[16], status[16];
} numbers;

static char **make_arguments(const char *helper, const mfi_spawn_options *options, const pipes *all,
                             numbers *texts)
{
    size_t count = 0;
    while (options->args != NULL && options->args[count] != NULL) {
        count++;
    }
    (void)mfi_str_format(texts->parent, sizeof texts->parent, "%d", (int)getpid());
    (void)mfi_str_format(texts->death, sizeof texts->death, "%d", all->death[0]);
    (void)mfi_str_format(texts->status, sizeof texts->status, "%d", all->status[1]);
    char **argv = calloc(count + 7, sizeof *argv);
    if (argv != NULL) {
        const char *directory = options->working_directory;
        /* posix_spawn writes to none of these. */
        argv[0] = (char *)(uintptr_t)helper;
        argv[1] = texts->parent;
        argv[2] = texts->death;
        argv[3] = texts->status;
        argv[4] = (char *)(uintptr_t)(directory != NULL ? directory : "");
        argv[5] = (char *)(uintptr_t)options->program;
        for (size_t i = 0; i < count; i++) {
            argv[6 + i] = (char *)(uintptr_t)options->args[i];
        }
    }
    return argv;
}

/* The helper runs: takes over what the parent keeps. The process can do without a pidfd. */
static void adopt(mfi_process *process, pipes *all, pid_t helper_pid)
{
    mfi_process_init(process);
    process->helper_pid = helper_pid;
    process->pidfd = (int)syscall(SYS_pidfd_open, helper_pid, 0);
    process->stdout_fd = all->out[0];
    process->stderr_fd = all->err[0];
    process->death_fd = all->death[1];
    process->status_fd = all->status[0];
    all->out[0] = all->err[0] = all->death[1] = all->status[0] = -1;
}

mf_status mfi_process_spawn(mfi_process *ret_process, const mfi_spawn_options *options,
                            mf_error *error)
{
    char helper[PATH_MAX];
    numbers texts;
    char names[MFI_PRIVATE_PIPES_MAX];
    char segment[MFI_PRIVATE_SEGMENT_MAX];
    pipes all;
    pid_t helper_pid = 0;
    if (!find_helper(helper, options, error)) {
        return MF_ERR_START_FAILED;
    }
    mf_status status = open_pipes(&all, error);
    if (status != MF_OK) {
        return status;
    }
    char **argv = make_arguments(helper, options, &all, &texts);
    mfi_private_name_pipes(names, all.out[1], all.err[1]);
    bool has_segment = mfi_private_name_segment(segment, options->segment_fd);
    char **envp = make_environment(options->env, names, has_segment ? segment : NULL);
    if (argv == NULL || envp == NULL) {
        status = mfi_fail(error, MF_ERR_NO_MEMORY, "no memory to start '%s'", options->program);
        goto out;
    }
    int result =
        spawn_helper(helper, argv, envp, &all, has_segment ? options->segment_fd : 0, &helper_pid);
    if (result != 0) {
        status = mfi_fail_errno(error, MF_ERR_START_FAILED, result,
                                "cannot start '%s': the helper %s cannot be run", options->program,
                                helper);
        goto out;
    }
    adopt(ret_process, &all, helper_pid);
out:
    free(argv);
    free(envp);
    close_pipes(&all);
    return status;
}
